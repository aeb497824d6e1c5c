/** What the session's modules are about. For checking alone: no page loads it. */
import type { Talk } from "./talks.js";
import type { Transfers } from "./transfer.js";

/** What a line of the server says. */
export type Message = { is: "message"; talk: string; seq: number | null; time: number | null; nick: string; text: string };
export type Happening = { is: "event"; talk: string; time: number | null; nick: string; event: string; args: string[] };
export type Done = { is: "done"; command: string; text: string };
export type Refused = { is: "refused"; command: string; code: string; text: string };
export type Fact =
  | Message
  | Happening
  | Done
  | Refused
  | { is: "hello"; nick: string; version: string; online: number; name: string }
  | { is: "locked" | "bye"; code: string; text: string }
  | { is: "presence"; version: number; gone: string[]; came: string[] }
  | { is: "wall" | "nick"; nick: string; text: string }
  | { is: "motd" | "notice" | "detail" | "other"; text: string }
  | { is: "data"; id: number; base64: string }
  | { is: "whole"; id: number; size: number; digest: string }
  | { is: "failed"; id: number; code: string; text: string };

/** A message of a room. */
export type Line = { seq: number; time: number; nick: string; text: string };
/** What follows an answer of /history: another question; or what was held back, and how many are lost for ever. */
export type Next = { ask: string } | { held: Line[]; missing: number };
/** An upload that is open on the server, and how many bytes of it are there. */
export type Open = { id: number; offset: number } | null;

export type Rank = "founder" | "op" | "voice" | null;
export type Member = { nick: string; rank: Rank; away: string | null };
export type Person = { nick: string; state: string; rooms: string[]; text: string };
/** `gone`: the code of `unfile`. */
export type FileInfo = { id: number; name: string; size: number; nick: string; talkId: string; gone: string | null };
/** Why something is not so. `command`: what was refused. */
export type Why = { command?: string; code: string; text: string };
export type Row = {
  /** Unique in its talk; grows from row to row. */
  key: number;
  kind: "said" | "action" | "event" | "note" | "file" | "invite";
  /** In ms. */
  time: number | null;
  seq: number | null;
  nick: string;
  text: string;
  /** Of an event or a note. */
  code: string;
  args: string[];
  state: "sure" | "pending" | "unknown" | "refused";
  why: Why | null;
  mine: boolean;
  mention: boolean;
  file: FileInfo | null;
  erased: boolean;
  /** Of an own message that has not come back: it waits, it was sent, or it was sent on a connection that is lost. */
  way: "waits" | "sent" | "limbo" | null;
};

export type Rows = { added: Row[]; changed: Row[]; removed: Row[]; older: Row[]; reset?: true };
export type Transfer = ReturnType<Transfers["upload"]> | ReturnType<Transfers["fetch"]>;
/** What is other than it was before a call. */
export type Change = {
  state?: true;
  talks?: true;
  people?: true;
  rows?: Map<string, Rows>;
  transfers?: Set<Transfer>;
  notify?: { talkId: string; nick: string; text: string; key: number }[];
  say?: string[];
  /** What could not be said, to be typed again. */
  unsaid?: { talkId: string; text: string }[];
};
export type Kept = { local: Record<string, any>; session: Record<string, any> };
export type Hooks = {
  /** Whole lines for the socket. */
  send(text: string): void;
  /** Makes a new socket; of the old one nothing is told any more. */
  reconnect(): void;
  changed(change: Change): void;
  keep(kept: Kept): void;
  /** From 0 to 1. */
  random(): number;
};
/** Its code is one of `bye` or of a refusal, or `lost`, `no-websocket`. */
export type Trouble = Why & {
  /** In ms. */
  retryAt: number | null;
  /** How many are left. */
  tries: number | null;
  /** What it is about: a person or a room. */
  name: string | null;
  /** A name that may be free. */
  free: string | null;
  /** Whether a key was given, which was not that of the room. */
  isWrong?: boolean;
};
export type Reply = Done | Refused;
/** Null: the answer was lost with the connection. */
export type Then = (reply: Reply | null, rows: string[]) => void;
export type Waiting = { row: Row; talk: Talk } | { talk: Talk; key?: string } | { line: string; then: Then } | { nick: string };
