// One value that changes, and who wants to know.

export class Store<T> {
  private current: T;
  private readonly listeners = new Set<() => void>();

  constructor(initial: T) {
    this.current = initial;
  }

  get state(): T {
    return this.current;
  }

  /** Replaces some members, and tells everyone. */
  set(change: Partial<T>): void {
    this.current = {...this.current, ...change};
    for (const listener of this.listeners) listener();
  }

  listen(listener: () => void): void {
    this.listeners.add(listener);
  }
}
