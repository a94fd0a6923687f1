// Numbers as people read them.

const UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB'];

/** Powers of 1000, three digits: "4.33 GB". */
export function bytesText(bytes: number): string {
  let unit = 0;
  let value = bytes;
  // 999.5 and more would be rounded to four digits.
  while (value >= 999.5 && unit + 1 < UNITS.length) {
    value /= 1000;
    ++unit;
  }
  if (unit === 0) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  return `${threeDigits(value)} ${UNITS[unit]}`;
}

function threeDigits(value: number): string {
  const places = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(places);
}

/** 1234567 is "1.23 million", 1234 is "1,234". */
export function countText(count: number): string {
  if (count >= 999.5e6) return `${threeDigits(count / 1e9)} billion`;
  if (count >= 1e6) return `${threeDigits(count / 1e6)} million`;
  return count.toLocaleString('en');
}

/** "1 tensor", "1,234 tensors". */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** How many times smaller, or larger: "4.0× smaller". */
export function ratioText(before: number, after: number): string {
  if (before === 0 || after === 0) return '';
  const ratio = before / after;
  if (ratio >= 1.005) return `${ratio.toFixed(ratio < 10 ? 2 : 1)}× smaller`;
  if (ratio <= 0.995) return `${(1 / ratio).toFixed(2)}× larger`;
  return 'the same size';
}

/** "5 s", "2 min 5 s", "1 h 2 min". */
export function secondsText(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
}

/** For decibels; null is what has no error at all. */
export function decibelText(decibels: number|null): string {
  return decibels === null ? 'exact' : `${decibels.toFixed(1)} dB`;
}

/** Four digits, with an exponent where that is shorter: "0.01953", "3.1e-7". */
export function numberText(value: number): string {
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e6) return String(Number(value.toPrecision(4)));
  return value.toExponential(2).replace('e+', 'e');
}

/** "4096 × 4096"; a scalar has no dimensions. */
export function shapeText(shape: readonly number[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' × ');
}

/** A message of the core as a sentence: names in it stay as they are. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  const first = /^[a-z]+(?=[ ,;])/.test(trimmed) ?
      trimmed[0]!.toUpperCase() + trimmed.slice(1) :
      trimmed;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Text for markup, in and outside of attributes. */
export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
