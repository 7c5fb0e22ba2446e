import { testWorkspace } from "../support/workspace-contract.ts";
import { DirectoryPlace } from "../support/workspace-directory.ts";

for (const byHandle of [true, false]) {
  testWorkspace(`a directory, ${byHandle ? "by handles" : "by paths"}`, async (run) => {
    using place = new DirectoryPlace();
    await run(place.host({ byHandle }));
  });
}
