// Sizes as people read them.

export function sizeText(bytes: number): string {
  if (bytes < 2 ** 20) return `${bytes} bytes`;
  if (bytes < 2 ** 30) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
