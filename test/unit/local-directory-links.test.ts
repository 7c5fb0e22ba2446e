import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DirectoryPlace, snapshot, withPlace } from "../support/workspace-directory.ts";
import { bytesOf, textOf } from "../support/workspace-driver.ts";

const outside = expect.objectContaining({
  name: "ToolError",
  message: expect.stringContaining("outside the workspace"),
});

describe.for([
  ["by handles", true],
  ["by paths", false],
] as const)("links, where names go %s", ([, byHandle]) => {
  const OUTSIDE: [what: string, target: (place: DirectoryPlace) => string][] = [
    ["to a file", () => "../outside/secret.txt"],
    ["to a file by its absolute path", ({ base }) => join(base, "outside/secret.txt")],
    ["to a folder", () => "../outside"],
    ["to nothing", () => "../outside/nothing.txt"],
    ["to nothing inside", () => "nothing.txt"],
    ["to the parent", () => ".."],
    ["to a place whose name begins like the directory's", ({ files }) => `${files}-2/secret.txt`],
    ["over another link", () => "first"],
    ["to nothing beneath a file", () => "kept.txt/x"],
    ["to itself", () => "link"],
    ["over a folder that leads out", () => "way/secret.txt"],
    ["over the file system's root", () => "/proc/self/root"],
  ];

  test.for(OUTSIDE)("[DIR1] [DIR2] one %s is neither read nor listed, written or removed", ([, targetOf]) =>
    withPlace(
      async (place, { change }) => {
        place.put({ "outside/secret.txt": "secret", "files-2/secret.txt": "secret", "files/kept.txt": "kept" });
        place.link("files/first", "../outside/secret.txt");
        place.link("files/way", "../outside");
        place.link("files/link", targetOf(place));
        const before = snapshot(place.base, [join(place.base, "state")]);
        const draft = () => place.workspace({ byHandle }).openDraft();
        expect(await draft().entries("")).toEqual([{ kind: "file", path: "kept.txt", size: 4 }]);
        for (const path of ["link", "link/secret.txt"]) {
          await expect(draft().stat(path)).rejects.toEqual(outside);
          await expect(draft().read(path)).rejects.toEqual(outside);
          await expect(draft().entries(path)).rejects.toEqual(outside);
          await expect(change({ [path]: "ours" })).rejects.toEqual(outside);
          await expect(change({ [path]: null })).rejects.toEqual(outside);
        }
        expect(snapshot(place.base, [join(place.base, "state")])).toEqual(before);
      },
      { byHandle },
    ),
  );

  test("[DIR2] whether the target is there cannot be told", () =>
    withPlace(async (place) => {
      place.put({ "outside/there": "" });
      const messages: string[] = [];
      for (const target of ["../outside/there", "../outside/not-there", "../nowhere/at/all"]) {
        place.link("files/link", target);
        await place
          .workspace({ byHandle })
          .stat("link")
          .catch((thrown: Error) => messages.push(thrown.message));
        rmSync(join(place.files, "link"));
      }
      expect(new Set(messages).size).toBe(1);
      expect(messages).toHaveLength(3);
    }));

  test("[DIR3] one to a file inside is read, listed and written as that file", () =>
    withPlace(
      async (place, { change, read, paths }) => {
        place.put({ "files/real/a.txt": "one" });
        place.link("files/plain", "real/a.txt");
        place.link("files/real/up", "../real/./a.txt");
        place.link("files/out-and-in", "../files/plain");
        place.link("files/absolute", join(place.files, "real/a.txt"));
        expect(await paths()).toEqual(["absolute", "out-and-in", "plain", "real/a.txt", "real/up"]);
        for (const path of await paths()) expect(await read(path)).toBe("one");
        await change({ plain: "two" });
        await change({ "real/up": "three" });
        expect(place.tree()).toEqual({
          absolute: `-> ${join(place.files, "real/a.txt")}`,
          "out-and-in": "-> ../files/plain",
          plain: "-> real/a.txt",
          "real/a.txt": "three",
          "real/up": "-> ../real/./a.txt",
        });
      },
      { byHandle },
    ));

  test("[DIR3] one to a file is removed as the link that it is", () =>
    withPlace(
      async (place, { change }) => {
        place.put({ "files/real.txt": "one" });
        place.link("files/f/link", "../real.txt");
        expect(await change({ "f/link": null })).toEqual([{ path: "f/link", info: null }]);
        expect(place.tree()).toEqual({ "real.txt": "one" });
      },
      { byHandle },
    ));

  test("[DIR3] one to a folder inside can be gone through, and is left out of lists", () =>
    withPlace(
      async (place, { change, read, paths }) => {
        place.put({ "files/real/deep/a.txt": "one" });
        place.link("files/way", "real/deep");
        place.link("files/real/circle", "..");
        expect(await paths()).toEqual(["real/deep/a.txt"]);
        expect(await paths("way")).toEqual(["way/a.txt"]);
        expect(await read("real/circle/way/a.txt")).toBe("one");
        await change({ "way/new/b.txt": "two" });
        expect(await paths("real")).toEqual(["real/deep/a.txt", "real/deep/new/b.txt"]);
        // The folder goes that became empty, and the way to it then leads to nothing.
        await change({ "way/new/b.txt": null, "way/a.txt": null });
        expect(place.tree()).toEqual({ "real/circle": "-> ..", way: "-> real/deep" });
      },
      { byHandle },
    ));

  test("[DIR1] [TOOL6] one that takes the place of what a call saw is a conflict", () =>
    withPlace(
      async (place, { stage }) => {
        place.put({ "outside/a.txt": "same", "files/f/a.txt": "same" });
        const { workspace, sql } = place.host({ byHandle });
        for (const [path, name] of [
          ["f/a.txt", "f/a.txt"],
          ["f/a.txt", "f"],
          ["f/new.txt", "f"],
        ] as const) {
          const draft = workspace.openDraft();
          await draft.stat(path);
          draft.write(path, bytesOf("ours"));
          const staged = await stage(draft);
          renameSync(join(place.files, name), join(place.base, "aside"));
          place.link(`files/${name}`, join(place.base, "outside", name === "f" ? "" : "a.txt"));
          expect(sql.transaction(() => staged.commit(sql, 1))).toEqual({ conflict: path });
          await staged.discard();
          rmSync(join(place.files, name));
          renameSync(join(place.base, "aside"), join(place.files, name));
        }
        expect(readFileSync(join(place.base, "outside/a.txt"), "utf8")).toBe("same");
      },
      { byHandle },
    ));
});

test.for([true, false])("[DIR1] a link that is there only while a file is opened misleads nobody", (byHandle) =>
  withPlace(async (place) => {
    place.put({ "outside/a.txt": "secret", "files/f/a.txt": "one" });
    const [folder, aside] = [join(place.files, "f"), join(place.base, "aside")];
    let there = false;
    const before = (step: string) => {
      if (there) {
        rmSync(folder);
        renameSync(aside, folder);
      }
      there = step === "openFile" && !there;
      if (!there) return;
      renameSync(folder, aside);
      place.link("files/f", "../outside");
    };
    const file = await place
      .directory({ byHandle, before })
      .read("f/a.txt", 100)
      .catch(() => null);
    expect(textOf(file?.bytes ?? null)).toBe(byHandle ? "one" : null);
  }),
);
