import { existsSync, readdirSync, readFileSync } from "node:fs";

/** A tick of the processor times in /proc, the same on every Linux. */
const TICK_MS = 10;

/** What the runtimes (workerd) of a process group take of the machine, as Linux's /proc tells it; NaN elsewhere. */
export class RuntimeUse {
  /** Null where there is no /proc. */
  readonly #pids: string[] | null = null;

  /** @throws if there is none in the group */
  constructor(group: number) {
    // `ps` is everywhere, but tells processor times in whole seconds.
    if (!existsSync("/proc/self/stat")) return;
    this.#pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && isRuntimeOf(name, group));
    if (this.#pids.length === 0) throw new Error(`The process group ${group} has no runtime.`);
  }

  /** The memory that is resident now, in kB. */
  memory(): number {
    return this.#sum((pid) => {
      const [, resident] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
      return Number(resident);
    });
  }

  /** The processor time that was taken so far, in ms: unlike a clock, it hardly minds what else runs. */
  processorMs(): number {
    return this.#sum((pid) => {
      const { processorTicks } = statOf(pid);
      return processorTicks * TICK_MS;
    });
  }

  /** The most memory that is resident until the work has ended, in kB, looked at ten times a second. */
  async peakOf(work: Promise<unknown>): Promise<number> {
    let peak = this.memory();
    const look = () => {
      peak = Math.max(peak, this.memory());
    };
    const timer = setInterval(look, 100);
    try {
      await work;
    } finally {
      clearInterval(timer);
    }
    look();
    return peak;
  }

  #sum(of: (pid: string) => number): number {
    return this.#pids?.reduce((sum, pid) => sum + of(pid), 0) ?? Number.NaN;
  }
}

function isRuntimeOf(pid: string, group: number): boolean {
  try {
    const stat = statOf(pid);
    return stat.name === "workerd" && stat.group === group;
  } catch {
    // It has ended since.
    return false;
  }
}

function statOf(pid: string): { name: string | undefined; group: number; processorTicks: number } {
  // PID (NAME) STATE PARENT GROUP …, the 14th and 15th of which are the ticks in the program and in the system.
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [, name, rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(text) ?? [];
  const fields = rest.split(" ");
  return { name, group: Number(fields[2]), processorTicks: Number(fields[11]) + Number(fields[12]) };
}
