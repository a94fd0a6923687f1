// A turn of the event loop between two steps of work.

const channel = new MessageChannel();
const waiting: Array<() => void> = [];

channel.port1.onmessage = () => waiting.shift()?.();

/**
 * Resolves when the event loop has come round: messages have come in, and a
 * browser could free what FileReaderSync left behind. A message gets there
 * sooner than a timer, which browsers hold back.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
