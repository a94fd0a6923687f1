// Plots as SVG text: what is drawn in the page, saved, and put into reports.
//
// Nothing here sees a weight: histograms are counted by the core. Colours are
// classes, so that the page, a saved file and a report each bring their own.

import {decibelText, escapeMarkup, numberText} from './format';

export interface Point {
  x: number;
  y: number;
}

/** Heights from 0 to 1 for counts; logarithmic ones for 1 + count. */
export function heights(
    bins: readonly number[], most: number, logarithmic: boolean): number[] {
  const scale = logarithmic ? Math.log1p : (x: number) => x;
  const top = scale(most);
  return bins.map((count) => top === 0 ? 0 : Math.min(1, scale(count) / top));
}

/** Numbers that are easy to read, from `low` to `high`: about `wanted`. */
export function ticks(low: number, high: number, wanted: number): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) return [low];
  const raw = span / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)!;
  const list = [];
  for (let i = Math.ceil(low / step); i * step <= high; ++i) {
    // A product, not a sum: no error adds up.
    list.push(Number((i * step).toPrecision(12)));
  }
  return list;
}

/** The outline of a histogram in a box, as a path. */
export function outline(
    fractions: readonly number[], width: number, height: number): string {
  const step = width / fractions.length;
  let path = `M0 ${round(height)}`;
  fractions.forEach((fraction, i) => {
    const y = round(height * (1 - fraction));
    path += `V${y}H${round((i + 1) * step)}`;
  });
  return `${path}V${round(height)}Z`;
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100);
}

const WIDTH = 560;
const HEIGHT = 200;
const BOTTOM = 24;

function frame(label: string, height: number, body: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" ` +
      `viewBox="0 0 ${WIDTH} ${height}" aria-label="${escapeMarkup(label)}">` +
      `${body}</svg>`;
}

function text(
    x: number, y: number, content: string, anchor: string, kind = 'tick') {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" ` +
      `class="${kind}">${escapeMarkup(content)}</text>`;
}

function axis(low: number, high: number, height: number): string {
  let body = `<path class="axis" d="M0 ${height}H${WIDTH}"/>`;
  for (const tick of ticks(low, high, 5)) {
    const x = (tick - low) / (high - low) * WIDTH;
    if (!Number.isFinite(x)) continue;
    const anchor = x < 20 ? 'start' : x > WIDTH - 20 ? 'end' : 'middle';
    body += `<path class="axis" d="M${round(x)} ${height}v4"/>` +
        text(x, height + 18, numberText(tick), anchor);
  }
  return body;
}

export interface Histogram {
  /** What it is of, for those who do not see it. */
  label: string;
  min: number;
  max: number;
  bins: readonly number[];
  /** Over the same range, drawn as a line. */
  against?: readonly number[];
  logarithmic: boolean;
}

export function histogramPlot(of: Histogram): string {
  const height = HEIGHT - BOTTOM;
  // Each to its own height: a few codes stand far above the many values that
  // they are for.
  const area = (bins: readonly number[], kind: string) =>
      `<path class="${kind}" d="${
          outline(
              heights(bins, Math.max(0, ...bins), of.logarithmic), WIDTH,
              height)}"/>`;
  return frame(
      of.label, HEIGHT,
      area(of.bins, 'area') +
          (of.against === undefined ? '' : area(of.against, 'line')) +
          axis(of.min, of.max, height));
}

/** Decibels over the bytes that are done. */
export function progressPlot(
    label: string, points: readonly Point[], total: number): string {
  const height = 120 - BOTTOM;
  if (points.length < 2 || total === 0) return frame(label, 120, '');
  const values = points.map((p) => p.y);
  // At least ten decibels: noise of tenths is no news.
  const middle = (Math.max(...values) + Math.min(...values)) / 2;
  const half = Math.max(5, (Math.max(...values) - Math.min(...values)) * 0.6);
  const [low, high] = [middle - half, middle + half];
  const path =
      points
          .map(
              (p, i) => `${i === 0 ? 'M' : 'L'}${round(p.x / total * WIDTH)} ${
                  round((high - p.y) / (high - low) * height)}`)
          .join('');
  let body = '';
  for (const tick of ticks(low, high, 3)) {
    const y = (high - tick) / (high - low) * height;
    body += `<path class="rule" d="M0 ${round(y)}H${WIDTH}"/>` +
        text(WIDTH, y - 4, decibelText(tick), 'end');
  }
  return frame(
      label, 120,
      `${body}<path class="axis" d="M0 ${height}H${WIDTH}"/>` +
          `<path class="line" d="${path}"/>`);
}

export interface Bar {
  name: string;
  /** null has no end: exact. */
  decibels: number|null;
}

const ROW = 22;

/** How long a bar is, from 0 to 1: 60 dB and more are a whole one. */
export function barLength(decibels: number|null): number {
  return decibels === null ? 1 : Math.max(0, Math.min(1, decibels / 60));
}

/** Layers with their SQNR, in the order in which they are given. */
export function barsPlot(label: string, bars: readonly Bar[]): string {
  const body = bars.map((bar, i) => {
    const y = i * ROW;
    // Bars begin at two thirds: names are long.
    const left = WIDTH * 0.62;
    const width = (WIDTH - left - 60) * barLength(bar.decibels);
    return text(left - 8, y + 15, shortName(bar.name, 48), 'end', 'name') +
        `<rect class="bar" x="${round(left)}" y="${y + 5}" width="${
               round(width)}" height="12" rx="2"/>` +
        text(WIDTH, y + 15, decibelText(bar.decibels), 'end');
  });
  return frame(label, bars.length * ROW, body.join(''));
}

/** Names are told apart by their end. */
export function shortName(name: string, most: number): string {
  return name.length <= most ? name : `…${name.slice(name.length - most + 1)}`;
}

/** Colours for a plot outside of the page. */
export const PLOT_STYLE = `
svg.plot{background:#fff;font:12px system-ui,sans-serif}
.plot text{fill:#4a433b}
.plot .axis{stroke:#8c8378;fill:none}
.plot .rule{stroke:#e6dfd6;fill:none}
.plot .area{fill:#d8cfc4}
.plot .line{fill:none;stroke:#b0441c;stroke-width:1.5}
.plot .bar{fill:#b0441c}
`;

/** A file of its own. */
export function plotFile(plot: string): string {
  const start = plot.indexOf('>') + 1;
  return `${plot.slice(0, start)}<style>${PLOT_STYLE}</style>${
      plot.slice(start)}\n`;
}
