// What a screen reader is told. Progress is told at most every five seconds.

const QUIET_MS = 5000;

export class Announcer {
  private last = -Infinity;

  constructor(private readonly region: HTMLElement) {}

  /** A change of state: always. */
  say(text: string): void {
    this.last = performance.now();
    this.region.textContent = text;
  }

  /** One of many: only if it was quiet for a while. */
  progress(text: string): void {
    if (performance.now() - this.last >= QUIET_MS) this.say(text);
  }
}
