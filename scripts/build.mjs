/** `npm run build`, and what `./pumac` runs when a source is newer than dist/: install what is missing, then build. */
import { build, install } from "./workspace.mjs";

install();
build();
