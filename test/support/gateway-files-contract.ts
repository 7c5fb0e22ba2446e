import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Gateway } from "../../src/client/gateway.ts";
import { FILE_MAX_BYTES } from "../../src/protocol/limits.ts";

type WithSession = (run: (gateway: Gateway, sessionId: string) => Promise<void>) => Promise<void>;

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** What every `Gateway` does with the files of its sessions. */
export function testGatewayFiles(withSession: WithSession) {
  describe("files", () => {
    test("[FILE8] a file that a client puts is an event, and the agent reads it", () =>
      withSession(async (gateway, id) => {
        const info = await gateway.writeFile(id, "notes/a.txt", bytesOf("hello"));
        expect(info).toMatchObject({ path: "notes/a.txt", size: 5, content_type: "text/plain; charset=utf-8" });
        const first = await gateway.events(id, "0")[Symbol.asyncIterator]().next();
        const data = { status: "file_changed", path: "notes/a.txt", sha256: info.sha256 };
        expect(first.value).toMatchObject({ seq: 1, type: "STATUS", turn_id: null, data });
        const { response_text } = await gateway.runQuery(id, {
          user_input: "Replace 'hello' with 'bye' in notes/a.txt, then say 'ok'",
        });
        expect(response_text).toBe("ok");
        expect(await gateway.readFile(id, "notes/a.txt")).toEqual(bytesOf("bye"));
      }));

    test("[FILE11] any bytes under any name come back as they are", () =>
      withSession(async (gateway, id) => {
        const name = fc.string({
          unit: fc.constantFrom("a", "ü", "日", " ", "%", "#", "?", "&", "+", "'"),
          minLength: 1,
        });
        await fc.assert(
          fc.asyncProperty(name, fc.uint8Array(), async (name, bytes) => {
            const path = `any/_${name.normalize("NFC")}_`;
            const { size } = await gateway.writeFile(id, path, bytes);
            expect(size).toBe(bytes.byteLength);
            expect(await gateway.readFile(id, path)).toEqual(new Uint8Array(bytes));
          }),
          { numRuns: 10 },
        );
      }));

    test("[FILE1] the files come in pages, sorted by path", () =>
      withSession(async (gateway, id) => {
        const paths = ["a-b", "a.txt", "a/b/c", "a/b.txt", "ab", "z"];
        for (const path of paths.toReversed()) await gateway.writeFile(id, path, bytesOf(path));
        const all = await gateway.listFiles(id);
        expect(all.files.map(({ path }) => path)).toEqual(paths.toSorted());
        expect(all.next_cursor).toBeNull();
        const seen: string[] = [];
        let cursor: string | null = null;
        do {
          const page = await gateway.listFiles(id, { limit: 4, ...(cursor === null ? {} : { cursor }) });
          seen.push(...page.files.map(({ path }) => path));
          cursor = page.next_cursor;
        } while (cursor !== null);
        expect(seen).toEqual(paths.toSorted());
        const inside = await gateway.listFiles(id, { prefix: "a/b" });
        expect(inside.files.map(({ path }) => path)).toEqual(["a/b.txt", "a/b/c"]);
        await expect(gateway.listFiles(id, { cursor: "x" })).rejects.toMatchObject({ code: "bad_cursor" });
        await expect(gateway.listFiles(id, { limit: 0 })).rejects.toMatchObject({ code: "invalid_request" });
      }));

    test("[GUARD6] [FILE12] a path that may not be is refused, and one where nothing lies is not found", () =>
      withSession(async (gateway, id) => {
        await gateway.writeFile(id, "file", bytesOf("x"));
        await gateway.writeFile(id, "folder/file", bytesOf("x"));
        for (const path of ["../x", "a/../../x", "~/x", "a\\b", "a\0b", "/etc/passwd", "x".repeat(513)]) {
          await expect(gateway.writeFile(id, path, bytesOf("y"))).rejects.toMatchObject({ code: "path_refused" });
          await expect(gateway.readFile(id, path)).rejects.toMatchObject({ code: "path_refused" });
        }
        for (const path of ["file/inside", "folder"]) {
          await expect(gateway.writeFile(id, path, bytesOf("y"))).rejects.toMatchObject({ code: "path_refused" });
          await expect(gateway.readFile(id, path)).rejects.toMatchObject({ code: "not_found" });
        }
        await expect(gateway.readFile(id, "absent")).rejects.toMatchObject({ code: "not_found" });
        const { files } = await gateway.listFiles(id);
        expect(files.map(({ path }) => path)).toEqual(["file", "folder/file"]);
      }));

    test("[FILE4] a file that is too large changes nothing", () =>
      withSession(async (gateway, id) => {
        const tooLarge = gateway.writeFile(id, "a", new Uint8Array(FILE_MAX_BYTES + 1));
        await expect(tooLarge).rejects.toMatchObject({ code: "too_large" });
        expect((await gateway.listFiles(id)).files).toEqual([]);
        expect(await gateway.resumeSession(id)).toMatchObject({ last_seq: 0 });
      }));

    test("[SESSION8] a session may start with the files of another, and then the two are apart", () =>
      withSession(async (gateway, id) => {
        await gateway.writeFile(id, "a/b.txt", bytesOf("first"));
        const source = await gateway.resumeSession(id);
        const copy = await gateway.createSession({ model: "demo", workspace_dir: source.workspace_dir });
        expect(copy.workspace_dir).toBe(`sessions/${copy.session_id}`);
        await gateway.writeFile(id, "a/b.txt", bytesOf("second"));
        await gateway.runQuery(copy.session_id, { user_input: "Append '!' to a/b.txt" });
        expect(await gateway.readFile(copy.session_id, "a/b.txt")).toEqual(bytesOf("first!"));
        await gateway.deleteSession(id);
        expect(await gateway.readFile(copy.session_id, "a/b.txt")).toEqual(bytesOf("first!"));
      }));
  });
}
