// Which rows of a long table are drawn.

/** Elements higher than this are cut off by some browsers. */
export const MOST_PIXELS = 8e6;

export interface View {
  rows: number;
  rowHeight: number;
  /** Of the scrolling box. */
  height: number;
  scrollTop: number;
}

export interface Window {
  /** The rows to draw: [first, end). */
  first: number;
  end: number;
  /** Where the first of them lies, in pixels from the top of the content. */
  top: number;
  /** Of the whole content. */
  total: number;
}

// Rows beyond either edge, so that a flick shows no gap.
const MARGIN = 8;

function scale({rows, rowHeight, height}: View) {
  const full = rows * rowHeight;
  const total = Math.min(full, MOST_PIXELS);
  // Pixels of the real list for a pixel of scrolling; 1 but for huge lists.
  const factor = total > height ? (full - height) / (total - height) : 1;
  return {total, factor};
}

export function windowOf(view: View): Window {
  const {rows, rowHeight, height} = view;
  const {total, factor} = scale(view);
  const scrollTop =
      Math.max(0, Math.min(view.scrollTop, Math.max(0, total - height)));
  const at = scrollTop * factor;
  const first = Math.max(0, Math.floor(at / rowHeight) - MARGIN);
  const end = Math.min(rows, Math.ceil((at + height) / rowHeight) + MARGIN);
  return {first, end, top: first * rowHeight - at + scrollTop, total};
}

/** Where to scroll so that a row is whole; the same place if it is already. */
export function scrollTo(view: View, row: number, header: number): number {
  const {factor} = scale(view);
  const at = view.scrollTop * factor;
  const top = row * view.rowHeight;
  const bottom = top + view.rowHeight + header;
  if (top < at) return top / factor;
  if (bottom > at + view.height) return (bottom - view.height) / factor;
  return view.scrollTop;
}
