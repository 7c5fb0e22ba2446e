/** Every limit on what comes in or goes out, named once, with its unit in the name and its reason beside it. */

/** A JSON body or frame: parsed whole in memory, so it stays far below the isolate's 128 MB. */
export const JSON_MAX_BYTES = 1_000_000;
/** Nesting of a JSON body: a recursive parser walks it, and 10 MB of `[` were seen to take seconds. */
export const JSON_MAX_DEPTH = 64;
/** A file sent by a client: one Worker request holds it as a stream, R2 takes it in one put. */
export const FILE_MAX_BYTES = 32 * 1024 * 1024;
/** A file that a tool reads whole or writes: it is held in the object's memory, beside the transcript. */
export const TOOL_FILE_MAX_BYTES = 8 * 1024 * 1024;
/** The content type that a client gives a file: it is kept in the file's row and served as a header. */
export const MEDIA_TYPE_MAX_CHARS = 255;
/** A path, in UTF-8: R2 keys end at 1,024 bytes, of which the prefix takes some. */
export const PATH_MAX_BYTES = 512;
/** Free-form data kept for the caller: it is copied into the event log and the index. */
export const METADATA_MAX_BYTES = 16_384;
export const TITLE_MAX_CHARS = 200;
/** A title made from the first message is cut here. */
export const DERIVED_TITLE_CHARS = 80;
export const SYSTEM_MAX_CHARS = 100_000;
export const MODEL_NAME_MAX_CHARS = 128;
export const USER_ID_MAX_CHARS = 128;
/** A frame's id: a socket keeps up to 101 of them in its attachment of 16 kB. */
export const FRAME_ID_MAX_CHARS = 64;
export const IDEMPOTENCY_KEY_MAX_CHARS = 255;
export const IDEMPOTENCY_TTL_MS = 24 * 3_600_000;

export const MAX_ITERATIONS_DEFAULT = 20;
export const MAX_ITERATIONS_MAX = 1_000;
/** Turns that wait in one session; the next one is refused with `queue_full`. */
export const QUEUE_MAX_TURNS = 100;
/** Messages that wait to join the running turn: those that had not joined when it ends become turns in one transaction. */
export const STEERS_MAX = 20;

export const PAGE_DEFAULT = 50;
export const PAGE_MAX = 200;
/** Groups of a usage report: a year of days is one page. */
export const USAGE_PAGE_DEFAULT = 366;
export const USAGE_PAGE_MAX = 1_000;
/** How many days a usage report is of: each turn of them is read. */
export const USAGE_RANGE_DAYS = 30;
export const USAGE_RANGE_MAX_DAYS = 366;
/** Turns whose usage goes to the catalog in one statement, as one parameter, which D1 takes up to 2 MB. */
export const USAGE_PART_TURNS = 200;
export const EVENTS_PAGE_DEFAULT = 100;
export const EVENTS_PAGE_MAX = 1_000;
/** A page ends after this many characters of JSON, however few items they are: an answer crosses RPC whole, 32 MiB at most. */
export const PAGE_MAX_CHARS = 4_000_000;

/** How long people and clients have to answer, unless a session or the gateway says otherwise: a week. */
export const INPUT_TIMEOUT_SECONDS = 7 * 24 * 3_600;
/** The longest that may be asked for: a session that waits costs its stored rows, and nobody answers after a year. */
export const INPUT_TIMEOUT_MAX_SECONDS = 366 * 24 * 3_600;
/** A name by which people tell tokens apart: it is listed, a line each. */
export const TOKEN_NAME_MAX_CHARS = 100;
/** What D1 said of a token is believed for so long: a revoked one may still read until then, where it has no socket. */
export const TOKEN_CACHE_MS = 30_000;
/** Tokens that one isolate remembers. */
export const TOKEN_CACHE_MAX = 1_000;
/** Sessions that are told of a revoked token at once, to begin with: each is a request, and the free plan may have 50. */
export const REVOCATION_BATCH = 20;
/** And then ever more, up to so many. */
export const REVOCATION_BATCH_MAX = 100;
/** Sessions that one request tells; the next goes on. The paid plan has 1,000 requests an invocation or more. */
export const REVOCATION_CALLS_MAX = 900;
/** A request begins to tell no more after so long: after an answer the platform lets work go on for 30 s. */
export const REVOCATION_PASS_MS = 20_000;
/** A session that has not answered by then is told later, so that the last of a request's are told within those 30 s. */
export const REVOCATION_TIMEOUT_MS = 5_000;
/** How often an isolate looks for sessions that are yet to be told, and one that could not be reached is tried. */
export const REVOCATION_LOOK_MS = 30_000;
/** What comes to a session waits while D1 says whether a socket's token holds, but no longer. */
export const SOCKET_TOKEN_TIMEOUT_MS = 5_000;
/** How long frames are refused without waiting after D1 did not say so. */
export const SOCKET_TOKEN_RETRY_MS = 5_000;
/** Sessions on which one isolate remembers that a token has opened a socket: about a megabyte. */
export const TOKEN_SESSIONS_MAX = 10_000;
/** A browser uses its ticket at once. */
export const TICKET_TTL_MS = 60_000;
/** A ticket of ours is shorter, whatever the name of its user; what is longer need not be verified. */
export const TICKET_MAX_CHARS = 2_000;
/** `GATEWAY_ALLOWED_USERS` and `GATEWAY_ALLOWED_ORIGINS` are looked through with every request. */
export const ALLOWED_MAX = 1_000;
/** A link of ours is shorter, whatever the name of its user; what is longer need not be verified. */
export const INPUT_LINK_MAX_CHARS = 2_000;
/** The Messages API takes names of this length. */
export const TOOL_NAME_MAX_CHARS = 64;
/** Each rule is looked at for each call. */
export const PERMISSION_RULES_MAX = 100;
/** What the model is told of clients' tools is sent and paid for with each of its calls. */
export const CLIENT_TOOLS_MAX = 64;
export const CLIENT_TOOLS_MAX_BYTES = 64 * 1024;
export const CLIENT_TOOL_DESCRIPTION_MAX_CHARS = 10_000;
/** A question is read on a phone. */
export const QUESTION_MAX_CHARS = 4_000;
export const QUESTION_MAX_OPTIONS = 20;
export const OPTION_MAX_CHARS = 200;
/** A year: above all, a number that is no mistake. */
export const BUDGET_MAX_SECONDS = 366 * 24 * 3_600;

/** A session that was created is in the index long before that; one that never came to be gives its seat up then. */
export const SESSION_SEAT_TTL_MS = 10 * 60_000;
/** Nobody knows when a user deletes a session: often enough to notice soon, and no load. */
export const SESSIONS_RETRY_AFTER_SECONDS = 60;
/** Four heartbeats: one that fails is no end, and the turns of a host that died stand in the way for two minutes. */
export const TURN_LEASE_TTL_MS = 120_000;
/** Nobody knows when a turn ends; many take about this long. */
export const TURNS_RETRY_AFTER_SECONDS = 10;
/** The period of the rate limiter in wrangler.toml, which the Worker cannot ask for. */
export const RATE_LIMIT_PERIOD_SECONDS = 60;
/** It answers from memory. A limiter that takes longer counts for one that fails, and holds nobody up. */
export const RATE_LIMIT_TIMEOUT_MS = 1_000;

/** `?wait`, in seconds. */
export const WAIT_MAX_SECONDS = 300;

/** TOOL_RESULT shows this much of a result, in characters. */
export const PREVIEW_MAX_CHARS = 2_500;
/** What one tool call may give the model, in characters: at most 6 bytes each as JSON, so a row stays under 2 MB. */
export const TOOL_RESULT_MAX_CHARS = 300_000;
/**
 * Tool calls of one message: each is a row and two events of one transaction, and nobody answers more questions at once.
 * Models make a few dozen at most.
 */
export const MESSAGE_MAX_CALLS = 128;
/** One stored value: the platform refuses more than 2 MB a row, local workerd does not, so we do. */
export const ROW_MAX_BYTES = 1_900_000;

/** Deltas that come within this time of the last frame go out together. */
export const FRAME_INTERVAL_MS = 4;
/** Where to send takes long, or seems to since the host was suspended meanwhile, nobody waits longer than they notice. */
export const FRAME_INTERVAL_MAX_MS = 100;
/** A comment on a quiet SSE stream, so that proxies keep it open. */
export const SSE_COMMENT_INTERVAL_MS = 15_000;
/** A socket this far behind its last acknowledgement is closed with 1013. */
export const UNACKED_MAX_BYTES = 4 * 1024 * 1024;
/** The same for a socket that never acknowledged anything. */
export const NEVER_ACKED_MAX_BYTES = 32 * 1024 * 1024;
/**
 * What all sockets of a session that never acknowledged anything may be behind together, and what may be on its way to
 * those that stopped: half of an isolate's memory each.
 */
export const UNACKED_TOTAL_MAX_BYTES = 64 * 1024 * 1024;
/**
 * What a socket that is behind is sent beyond its acknowledgements; the rest stays in the log until it acknowledges. It
 * is twice what our clients take before they do, or both sides would wait.
 */
export const CATCH_UP_WINDOW_BYTES = 512 * 1024;
/**
 * Events of the log that go together to an SSE client, and to the gateway's own Worker, which reads for it: what goes
 * together is held once more, an eighth of a window.
 */
export const TOGETHER_MAX_BYTES = 64 * 1024;
/** An event that would take more than this over all sockets of a session is fetched from the log by one after another. */
export const FAN_OUT_MAX_BYTES = 32 * 1024 * 1024;
/** What sockets of a session that begin to catch up are sent at once: a quarter of an isolate's memory. */
export const CATCH_UP_BEGIN_BYTES = 32 * 1024 * 1024;
/** After this time others may begin: what clients will take soon, they have taken by then. */
export const CATCH_UP_BEGIN_MS = 1_000;
/** A socket that never acknowledged anything is sent its windows by the clock: 10 MiB a second, as much as a fast line takes. */
export const CATCH_UP_PACE_MS = 50;
/**
 * One that acknowledged and then says nothing for so long is sent a window all the same, up to its limit: it may have
 * said so once only. Our clients are not silent for a fifth of that while they take anything.
 */
export const CATCH_UP_SILENT_MS = 5_000;
/** Our clients acknowledge after this many bytes or this much time, whichever comes first. */
export const ACK_EVERY_BYTES = 256 * 1024;
export const ACK_EVERY_MS = 1_000;

/** The one line in which a process says what it wants of another that holds a session: a body of REST, and whose it is. */
export const DOOR_REQUEST_MAX_BYTES = JSON_MAX_BYTES + 1_024;
/** Processes of one machine say it at once. */
export const DOOR_REQUEST_TIMEOUT_MS = 5_000;

/** A running turn wakes its object this often; unwatched turns were seen evicted after 70 to 140 s. */
export const HEARTBEAT_MS = 30_000;

/** Outside calls have no deadline of the platform's; these are ours. */
export const MODEL_FIRST_EVENT_TIMEOUT_MS = 120_000;
export const MODEL_NEXT_EVENT_TIMEOUT_MS = 90_000;
/**
 * Pings show that a server is alive, not that its model gets anywhere. Thinking that is not shown comes as pings alone,
 * and a server's own tools may take minutes; this is more than both were seen to take.
 */
export const MODEL_PROGRESS_TIMEOUT_MS = 600_000;
/** The most that a model may say is 128,000 tokens: two hours at 18 a second, and no model that is in use is slower. */
export const MODEL_CALL_TIMEOUT_MS = 2 * 3_600_000;
/** A server that asks for a longer wait has a quota by the hour or day; the turn fails, and says when to come back. */
export const MODEL_RETRY_AFTER_MAX_MS = 15 * 60_000;
export const TOOL_TIMEOUT_MS = 120_000;
export const STORAGE_TIMEOUT_MS = 30_000;

/** A glob or a search pattern of a tool: it becomes a regular expression, whose cost may grow with its length. */
export const PATTERN_MAX_CHARS = 500;
/** What `read` gives unless it is told otherwise: about as much as a model makes use of at once. */
export const READ_DEFAULT_LINES = 2_000;
/** Files and folders that `list` or `glob` names in one result. */
export const LIST_MAX_ENTRIES = 1_000;
export const GREP_DEFAULT_MATCHES = 100;
export const GREP_MAX_MATCHES = 1_000;
/** Bytes times the size of the compiled pattern: nothing else can run meanwhile, and at worst this takes seconds. */
export const GREP_MAX_STEPS = 256 * 1024 * 1024;
/** A search holds a few files in memory at once and passes over larger ones. */
export const GREP_FILE_MAX_BYTES = 2 * 1024 * 1024;
export const GREP_TOTAL_MAX_BYTES = 64 * 1024 * 1024;
/** Each file searched is a request to R2, and an invocation may make only so many. */
export const GREP_MAX_FILES = 500;
/** Looked at between files, since the platform's clock stands still while code runs. */
export const GREP_TIME_MS = 20_000;
/** Files and folders that one call looks at: a tree of which nothing is read can be this large within seconds. */
export const WALK_MAX_ENTRIES = 100_000;
/** Looked at between folders. */
export const WALK_TIME_MS = 20_000;
/** Comparisons with the patterns of a call and of `.gitignore` files: at worst these take seconds, in which nothing else runs. */
export const WALK_MAX_STEPS = 64 * 1024 * 1024;
/** A larger `.gitignore` is passed over: those that are written by hand have a few kB. */
export const IGNORE_FILE_MAX_BYTES = 64 * 1024;
/** What one call takes of `.gitignore` files: each is a request to R2, and their rules are held in memory. */
export const IGNORE_MAX_FILES = 200;
export const IGNORE_TOTAL_MAX_BYTES = 256 * 1024;
/** The wait tool, in seconds. */
export const WAIT_TOOL_MAX_SECONDS = 60;

/** GET /health is open to everybody, so its checks are made at most this often in one isolate. */
export const HEALTH_MAX_AGE_MS = 10_000;
/** A check that has no answer by then has failed: whoever asks for health is impatient. */
export const HEALTH_TIMEOUT_MS = 2_000;

/** One line of the gateway's log, as JSON: the platform keeps 256 kB of an invocation's lines and drops what follows. */
export const LOG_LINE_MAX_CHARS = 4_096;
/** Of an error's message and of its cause's: errors may repeat what they were given, of any length. */
export const LOG_MESSAGE_MAX_CHARS = 500;
/** Places of a stack that a line shows. */
export const LOG_FRAMES_MAX = 8;
