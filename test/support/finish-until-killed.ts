/**
 * Does what a call decided over the directory `<base>/files`, in a process that kills itself ahead of a certain step:
 * `node finish-until-killed.ts <base> <step> <redo as JSON>`. With fewer steps to do it ends by itself.
 */
import { Directory } from "../../src/local/directory.ts";
import { DirectoryWorkspace } from "../../src/local/directory-workspace.ts";
import { Disk } from "../../src/local/disk.ts";
import { StagedBytes } from "../../src/local/staged-bytes.ts";

const [, , base = "", step = "", redo = ""] = process.argv;
let left = Number(step);
const disk = new Disk(() => {
  if (left-- === 0) process.kill(process.pid, "SIGKILL");
});
const directory = Directory.open(`${base}/files`, { disk });
const stages = new StagedBytes(`${base}/state/stages`, disk);
await new DirectoryWorkspace({ directory, stages, now: () => Date.now() }).finish(JSON.parse(redo));
