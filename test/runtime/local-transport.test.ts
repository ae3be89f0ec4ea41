/** The local transport: order on a link, any order among links, back-pressure, closed links. */
import { describe, expect, test } from "vitest";
import { LocalNetwork } from "../../client/local/network.js";

const frame = (...bytes: number[]) => Uint8Array.from(bytes);

describe("delivery", () => {
  test("frames of a link arrive in order, whatever the seed and the delay", async () => {
    for (const options of [{ seed: 1 }, { seed: 2 }, { delay: 0.001 }, { bandwidth: 1e5, delay: 0.001 }]) {
      const network = new LocalNetwork(options);
      const [sender, receiver] = [network.transport("P1"), network.transport("P2")];
      for (let i = 0; i < 20; i++) {
        void sender.send("P2", frame(i));
      }
      for (let i = 0; i < 20; i++) {
        expect(await receiver.receive("P1")).toEqual(frame(i));
      }
    }
  });

  test("the order among links follows the seed", async () => {
    const orderOf = async (seed: number) => {
      const network = new LocalNetwork({ seed });
      const receiver = network.transport("P2");
      const order: string[] = [];
      const waiting = (["P0", "P1"] as const).map(async (from) => {
        for (let i = 0; i < 8; i++) {
          await receiver.receive(from);
          order.push(from);
        }
      });
      for (const from of ["P0", "P1"] as const) {
        for (let i = 0; i < 8; i++) {
          void network.transport(from).send("P2", frame(i));
        }
      }
      await Promise.all(waiting);
      return order.join(" ");
    };
    const orders = await Promise.all([1, 2, 3, 4].map(orderOf));
    expect(new Set(orders).size).toBeGreaterThan(1);
    expect(await orderOf(3)).toBe(orders[2]);
  });

  test("a sender that waits runs ahead by a bounded amount", async () => {
    const network = new LocalNetwork();
    const [sender, receiver] = [network.transport("P0"), network.transport("P2")];
    let sent = 0;
    const sending = (async () => {
      for (let i = 0; i < 40; i++) {
        await sender.send("P2", new Uint8Array(1 << 20));
        sent++;
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sent).toBeLessThan(16);
    for (let i = 0; i < 40; i++) {
      await receiver.receive("P0");
    }
    await sending;
    expect(sent).toBe(40);
  });
});

describe("faults", () => {
  test("a link that fails at its n-th frame gives the frames before, then E0601 to both ends", async () => {
    const network = new LocalNetwork({ faults: [{ from: "P1", to: "P2", frame: 2 }] });
    const [sender, receiver] = [network.transport("P1"), network.transport("P2")];
    await sender.send("P2", frame(0));
    await sender.send("P2", frame(1));
    await expect(sender.send("P2", frame(2))).rejects.toThrow("E0601");
    expect(await receiver.receive("P1")).toEqual(frame(0));
    expect(await receiver.receive("P1")).toEqual(frame(1));
    await expect(receiver.receive("P1")).rejects.toThrow("E0601");
  });

  test("whoever waits for a peer that closes is told", async () => {
    const network = new LocalNetwork();
    const waiting = network.transport("P2").receive("P0");
    network.close("P0");
    await expect(waiting).rejects.toThrow("P0 closed its connection");
    await expect(network.transport("P0").send("P1", frame(1))).rejects.toThrow("E0601");
  });
});
