import type { Sql } from "../engine/ports.ts";
import { logError } from "../logging/log.ts";
import { bytesOf } from "../protocol/bytes-of.ts";
import { type Cursor, formatCursor, parseCursor } from "../protocol/cursors.ts";
import { GatewayError } from "../protocol/errors.ts";
import { type Event, type EventType, type NewEvent, toTimestamp } from "../protocol/events.ts";
import type { Json } from "../protocol/json.ts";
import { PAGE_MAX_CHARS } from "../protocol/limits.ts";
import {
  type EventRow,
  eventAt,
  insertEvent,
  lastEventSeq,
  readEvent,
  readEvents,
  setEventData,
  uncommittedEvents,
} from "./event-table.ts";
import { type BlockType, blockData, LiveBlock } from "./live-block.ts";

/** What a transaction may do with the log. */
export type LogWriter = {
  /** Appends an event and returns its seq. */
  append(event: NewEvent, turnId: string | null): number;
  /** Stores the characters of the step's blocks; those still open end here. */
  commitBlocks(): void;
  /**
   * Discards every block from `since` on that is not committed, also those whose characters were lost with an earlier
   * process, and returns their seqs.
   */
  discardBlocks(since: number): number[];
};

/** One event of a replay: `json` is the frame as it goes out, of so many bytes, `cursor` the position after it. */
export type Replayed = { type: EventType; turn_id: string | null; cursor: string; json: string; bytes: number };

const isBlockType = (type: EventType): type is BlockType => type === "TEXT" || type === "THINKING";

/**
 * A session's one ordered log, and the one way into it. Events are appended in a transaction and broadcast once it is
 * committed. A block of text or thinking has its row from its first character on and its text in memory until its step
 * is committed.
 */
export class EventLog {
  readonly #sql: Sql;
  readonly #broadcast: (event: Event) => void;
  readonly #now: () => number;
  #last: number;
  /** The blocks of the step that is not committed, in order. Only the last one can be open. */
  #pending: LiveBlock[] = [];
  #stamped = { at: 0, timestamp: toTimestamp(0) };

  constructor(sql: Sql, broadcast: (event: Event) => void, now: () => number) {
    this.#sql = sql;
    this.#broadcast = broadcast;
    this.#now = now;
    this.#last = lastEventSeq(sql);
  }

  /** The seq of the last event; 0 when there is none. */
  get lastSeq(): number {
    return this.#last;
  }

  /** When the last event was appended, in ms since the epoch; null when there is none. */
  get lastAt(): number | null {
    return eventAt(this.#sql, this.#last);
  }

  /** The position of a client that has everything so far. */
  cursor(): string {
    const open = this.#open;
    // Characters that were not sent yet belong to those that come: sending them first makes the position exact.
    open?.flush();
    return this.#cursorAt(this.#last);
  }

  /**
   * Runs `write` in one transaction. What it appends is broadcast after the commit; if it throws, nothing happened.
   * `committed` is called in between, for memory that must agree and for an answer that must come before the events.
   */
  commit<T>(write: (writer: LogWriter) => T, committed?: (result: T) => void): T {
    // Characters that wait for their frame go out before the events, and with a position that is before them too.
    this.#open?.flush();
    const before = this.#last;
    const appended: { seq: number; at: number; event: NewEvent; turnId: string | null }[] = [];
    let settled: LiveBlock[] | null = null;
    const writer: LogWriter = {
      append: (event, turnId) => {
        const row = { seq: this.#last + 1, at: this.#now(), event, turnId };
        this.#insert(row.seq, event.type, turnId, row.at, JSON.stringify(event.data));
        appended.push(row);
        return row.seq;
      },
      commitBlocks: () => {
        settled = this.#pending;
        for (const block of settled) {
          block.end();
          setEventData(this.#sql, block.seq, JSON.stringify(block.data(0)));
        }
      },
      discardBlocks: (since) => {
        settled = this.#pending;
        const rows = uncommittedEvents(this.#sql, since);
        for (const { seq, type } of rows) if (isBlockType(type)) this.#discard(seq, type);
        return rows.map(({ seq }) => seq);
      },
    };
    let result: T;
    try {
      result = this.#sql.transaction(() => write(writer));
    } catch (thrown) {
      this.#last = before;
      throw thrown;
    }
    if (settled !== null) {
      for (const block of this.#pending) block.drop();
      this.#pending = [];
    }
    afterCommit(() => committed?.(result));
    for (const { seq, at, event, turnId } of appended) {
      // Fields stand in the order in which replay has them.
      const place = { seq, cursor: this.#cursorAt(seq), type: event.type, turn_id: turnId, timestamp: toTimestamp(at) };
      afterCommit(() => this.#broadcast({ ...place, ...event }));
    }
    return result;
  }

  /** Opens a block; its row is written here, its characters come later. */
  openBlock(type: BlockType, turnId: string, redacted: boolean): LiveBlock {
    const at = this.#now();
    const seq = this.#last + 1;
    this.#insert(seq, type, turnId, at, null);
    const block = new LiveBlock({ seq, type, turnId, at, redacted }, (sender, text, offset) =>
      this.#sendPiece(sender, text, offset),
    );
    this.#pending.push(block);
    // It has no characters to wait for, and no event may overtake it.
    if (redacted) block.end();
    return block;
  }

  /** @throws GatewayError `bad_cursor` for what is no position in this log */
  checkCursor(cursor: string): void {
    this.#parse(cursor);
  }

  /**
   * Everything after a position, in order: the rest of the block that was open there, then every later event.
   *
   * @throws GatewayError `bad_cursor`, before the first event
   */
  replay(after: string, types: ReadonlySet<EventType> | null = null): Iterable<Replayed> {
    return this.#replayAfter(after, types, null);
  }

  /**
   * An `EventPage` as JSON, put together from the text of its events: they were stored as they are shown. Ends early where
   * they are large.
   *
   * @throws GatewayError `bad_cursor`
   */
  page(after: string, limit: number, types: ReadonlySet<EventType> | null): string {
    const events: string[] = [];
    let cursor: string | null = null;
    let chars = 0;
    // One more, which says that there is another page.
    for (const replayed of this.#replayAfter(after, types, types === null ? limit + 1 : null)) {
      if (events.length === limit || chars > PAGE_MAX_CHARS) return pageText(events, cursor, cursor ?? after);
      events.push(replayed.json);
      cursor = replayed.cursor;
      chars += replayed.json.length;
    }
    return pageText(events, null, this.cursor());
  }

  /** The data of a turn's events of one type, committed or live, in order; `to` null: up to the log's end. */
  *dataOf(turnId: string, type: EventType, from: number, to: number | null): Generator<Record<string, Json>> {
    for (const row of readEvents(this.#sql, { from, to: to ?? this.#last, type }, null)) {
      if (row.turn_id === turnId) yield this.#dataOf(row, 0);
    }
  }

  get #open(): LiveBlock | null {
    const block = this.#pending.at(-1);
    return block !== undefined && !block.ended ? block : null;
  }

  #cursorAt(seq: number): string {
    const open = this.#open;
    if (open === null || open.seq > seq) return formatCursor({ seq });
    return formatCursor({ seq, block: { seq: open.seq, offset: open.text.length } });
  }

  #insert(seq: number, type: EventType, turnId: string | null, at: number, data: string | null): void {
    insertEvent(this.#sql, { seq, type, turn_id: turnId, at, data });
    this.#last = seq;
  }

  #discard(seq: number, type: BlockType): void {
    const data = blockData(type, "", 0, { done: true, discarded: true });
    setEventData(this.#sql, seq, JSON.stringify(data));
  }

  #sendPiece(block: LiveBlock, text: string, offset: number): void {
    const envelope = {
      seq: block.seq,
      cursor: this.#cursorAt(this.#last),
      type: block.type,
      turn_id: block.turnId,
      timestamp: this.#timestampOf(block.at),
    };
    const state = {
      offset,
      done: block.ended,
      ...(block.redacted ? { redacted: true as const } : {}),
    };
    if (block.type === "THINKING") {
      this.#broadcast({ ...envelope, type: "THINKING", data: { thinking: text, ...state } });
    } else {
      const citations = block.ended && block.citations.length > 0 ? { citations: block.citations } : {};
      this.#broadcast({ ...envelope, type: "TEXT", data: { text, ...state, ...citations } });
    }
  }

  #parse(after: string): Cursor {
    const cursor = parseCursor(after);
    if (cursor === null) throw new GatewayError("bad_cursor", "The cursor is malformed.");
    if (cursor.seq > this.#last) throw new GatewayError("bad_cursor", "The cursor is beyond the end of the log.");
    if (cursor.block !== undefined) {
      const row = readEvent(this.#sql, cursor.block.seq);
      if (row === undefined || !isBlockType(row.type)) {
        throw new GatewayError("bad_cursor", "The cursor names a block that is none.");
      }
    }
    return cursor;
  }

  /** @param most no more rows are asked for; null: whoever reads may stop at any one */
  #replayAfter(after: string, types: ReadonlySet<EventType> | null, most: number | null): Iterable<Replayed> {
    const position = this.#parse(after);
    this.#open?.flush();
    return this.#replayFrom(position, types, most);
  }

  *#replayFrom({ seq, block }: Cursor, types: ReadonlySet<EventType> | null, most: number | null): Generator<Replayed> {
    if (block !== undefined) {
      const row = readEvent(this.#sql, block.seq);
      // Of a block that is still open and has no more characters there is nothing to tell yet.
      const isNews = this.#open?.seq !== block.seq || this.#open.text.length > block.offset;
      if (row !== undefined && isNews && (types === null || types.has(row.type))) {
        yield this.#replayed(row, block.offset, seq);
      }
    }
    for (const row of readEvents(this.#sql, { from: seq + 1, to: this.#last, type: null }, most)) {
      if (types === null || types.has(row.type)) yield this.#replayed(row, 0, row.seq);
    }
  }

  #replayed(row: EventRow, offset: number, position: number): Replayed {
    const cursor = this.#cursorAt(position);
    // A stored event goes out as the text that was stored; only blocks are put together here.
    const data = row.data !== null && offset === 0 ? row.data : JSON.stringify(this.#dataOf(row, offset));
    const turnId = row.turn_id === null ? "null" : `"${row.turn_id}"`;
    const head =
      `{"seq":${row.seq},"cursor":"${cursor}","type":"${row.type}","turn_id":${turnId},` +
      `"timestamp":"${this.#timestampOf(row.at)}","data":`;
    // What stands around the data is ASCII.
    const bytes = head.length + (data === row.data && row.bytes !== null ? row.bytes : bytesOf(data)) + 1;
    return { type: row.type, turn_id: row.turn_id, cursor, json: `${head}${data}}`, bytes };
  }

  /** Many events of a step have the same. */
  #timestampOf(at: number): string {
    if (at !== this.#stamped.at) this.#stamped = { at, timestamp: toTimestamp(at) };
    return this.#stamped.timestamp;
  }

  #dataOf(row: EventRow, offset: number): Record<string, Json> {
    if (row.data === null) {
      const live = this.#pending.find((block) => block.seq === row.seq);
      if (live !== undefined) return live.data(offset);
      if (isBlockType(row.type)) return blockData(row.type, "", 0, { done: true, discarded: true });
      throw new Error(`event ${row.seq} has no data`);
    }
    const data: Record<string, Json> = JSON.parse(row.data);
    if (offset === 0 || !isBlockType(row.type) || data["discarded"] === true) return data;
    const field = row.type === "TEXT" ? "text" : "thinking";
    const text = textOf(data);
    return { ...data, [field]: text.slice(offset), offset: Math.min(offset, text.length) };
  }
}

function pageText(events: readonly string[], next: string | null, cursor: string): string {
  const nextCursor = next === null ? "null" : `"${next}"`;
  return `{"events":[${events.join(",")}],"next_cursor":${nextCursor},"cursor":"${cursor}"}`;
}

/** What is committed stands, whatever becomes of telling about it. */
function afterCommit(tell: () => void): void {
  try {
    tell();
  } catch (thrown) {
    logError("event log", thrown);
  }
}

function textOf(data: Record<string, Json>): string {
  const text = data["text"] ?? data["thinking"];
  return typeof text === "string" ? text : "";
}
