// The tensors as a grid that draws only the rows in sight.

import {html, nothing, render} from 'lit-html';
import {live} from 'lit-html/directives/live.js';
import type {TemplateResult} from 'lit-html';

import {bytesText, countText, plural, shapeText} from './format';
import {nameParts} from './parts';
import {dtypeCounts, filterRows, isFloat, sortRows} from './rows';
import type {Filter, Row, Sort, SortKey} from './rows';
import type {Scheme} from './scheme';
import {tensorChoice} from './tensor_choice';
import type {Choice} from './tensor_choice';
import {scrollTo, windowOf} from './windowing';
import type {View} from './windowing';

export interface TableInput {
  rows: readonly Row[];
  choices: ReadonlyMap<string, Scheme>;
  /** Whether choices can be made: only to quantize, and before a run. */
  choosing: boolean;
  /** The tensor in the drawer, or the one that is being worked on. */
  current: string|null;
  choose(names: readonly string[], choice: Choice): void;
  open(name: string): void;
}

interface Column {
  key: SortKey|'choice';
  title: string;
  kind: string;
}

const COLUMNS: Column[] = [
  {key: 'name', title: 'Tensor', kind: 'name'},
  {key: 'dtype', title: 'Type', kind: 'dtype'},
  {key: 'order', title: 'Shape', kind: 'shape'},
  {key: 'bytes', title: 'Size', kind: 'size'},
  {key: 'becomes', title: 'Becomes', kind: 'becomes'},
  {key: 'newBytes', title: 'New size', kind: 'new-size'},
  {key: 'choice', title: 'Choice', kind: 'choice'},
];

// Of the root's font size; the narrow rows have two lines.
const ROW_REM = 2.5;
const NARROW_ROW_REM = 4.25;
const NARROW = window.matchMedia('(max-width: 52rem)');

const NOTHING_YET: TableInput = {
  rows: [],
  choices: new Map(),
  choosing: false,
  current: null,
  choose: () => {},
  open: () => {},
};

export class TensorTable extends HTMLElement {
  private data = NOTHING_YET;
  private filter: Filter = {text: '', dtypes: new Set(), action: ''};
  private sort: Sort = {key: 'order', descending: false};
  private shown: readonly Row[] = [];
  private problem = '';
  /** The cell of the keyboard; row -1 is the header. */
  private active = {row: 0, column: 0};
  private frame = 0;
  private readonly resized = new ResizeObserver(() => this.schedule());
  private readonly narrowed = () => this.schedule();

  set input(data: TableInput) {
    const changed = data.rows !== this.data.rows;
    this.data = data;
    if (changed) this.search();
    this.schedule();
  }

  connectedCallback(): void {
    NARROW.addEventListener('change', this.narrowed);
    this.draw();
    this.resized.observe(this.grid);
  }

  disconnectedCallback(): void {
    NARROW.removeEventListener('change', this.narrowed);
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  focusFilter(): void {
    this.querySelector<HTMLInputElement>('[data-test=filter]')?.focus();
  }

  focusGrid(): void {
    this.grid.focus();
  }

  private get grid(): HTMLElement {
    return this.querySelector<HTMLElement>('[role=grid]')!;
  }

  private get view(): View {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const {clientHeight, scrollTop} =
        this.querySelector('[role=grid]') ?? {clientHeight: 600, scrollTop: 0};
    return {
      rows: this.shown.length,
      rowHeight: rem * (NARROW.matches ? NARROW_ROW_REM : ROW_REM),
      height: clientHeight,
      scrollTop,
    };
  }

  // Draws with the next frame, however often it is asked for.
  private schedule(): void {
    if (this.frame !== 0 || !this.isConnected) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private search(): void {
    try {
      this.shown = sortRows(filterRows(this.data.rows, this.filter), this.sort);
      this.problem = '';
    } catch {
      // A regular expression that is half typed: what was found before stays.
      this.problem = 'This is no regular expression yet.';
    }
    this.active = {
      ...this.active,
      row: Math.min(this.active.row, this.shown.length - 1),
    };
    this.schedule();
  }

  private setFilter(change: Partial<Filter>): void {
    this.filter = {...this.filter, ...change};
    this.search();
  }

  private sortBy(key: SortKey|'choice'): void {
    if (key === 'choice') return;
    const again = this.sort.key === key;
    // A third time goes back to the order of the file.
    this.sort = again && this.sort.descending ?
        {key: 'order', descending: false} :
        {key, descending: again};
    this.search();
  }

  // Keys.

  private keyDown(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (target !== this.grid) {
      if (event.key === 'Escape') {
        this.grid.focus();
        event.stopPropagation();
      }
      return;
    }
    if (event.ctrlKey && !['Home', 'End'].includes(event.key)) return;
    if (event.altKey || event.metaKey) return;
    const {row, column} = this.active;
    const last = this.shown.length - 1;
    const page = Math.max(
        1, Math.floor(this.view.height / this.view.rowHeight) - 2);
    switch (event.key) {
      case 'ArrowDown':
        this.moveTo(row + 1, column);
        break;
      case 'ArrowUp':
        this.moveTo(row - 1, column);
        break;
      case 'ArrowRight':
        this.moveTo(row, column + 1);
        break;
      case 'ArrowLeft':
        this.moveTo(row, column - 1);
        break;
      case 'PageDown':
        this.moveTo(row + page, column);
        break;
      case 'PageUp':
        this.moveTo(Math.max(0, row - page), column);
        break;
      case 'Home':
        this.moveTo(event.ctrlKey ? 0 : row, 0);
        break;
      case 'End':
        this.moveTo(event.ctrlKey ? last : row, COLUMNS.length - 1);
        break;
      case ' ':
        this.toggleKeep();
        break;
      case 'Enter':
        this.act();
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  private moveTo(row: number, column: number): void {
    this.active = {
      row: Math.max(-1, Math.min(this.shown.length - 1, row)),
      column: Math.max(0, Math.min(COLUMNS.length - 1, column)),
    };
    const header = this.querySelector('.grid-head')?.clientHeight ?? 0;
    if (this.active.row >= 0) {
      this.grid.scrollTop = scrollTo(this.view, this.active.row, header);
    }
    this.schedule();
  }

  private toggleKeep(): void {
    const row = this.shown[this.active.row];
    if (row === undefined || !this.mayChoose(row)) return;
    const kept = this.choiceOf(row) === 'skip' ||
        (this.choiceOf(row) === '' && row.planned?.action === 'copy');
    this.data.choose([row.tensor.name], kept ? '' : 'skip');
  }

  private act(): void {
    const {row, column} = this.active;
    if (row < 0) {
      this.sortBy(COLUMNS[column]!.key);
      return;
    }
    const found = this.shown[row];
    if (found === undefined) return;
    const control = COLUMNS[column]!.key === 'choice' ?
        this.querySelector<HTMLElement>(`#row-${found.order} select`) :
        null;
    if (control !== null) {
      control.focus();
    } else {
      this.data.open(found.tensor.name);
    }
  }

  // What is shown.

  private choiceOf(row: Row): Choice {
    return this.data.choices.get(row.tensor.name)?.format ?? '';
  }

  private mayChoose(row: Row): boolean {
    return this.data.choosing && isFloat(row);
  }

  private draw(): void {
    render(this.template(), this);
    // Positions are properties: the page's policy forbids style attributes.
    const {top, total} = windowOf(this.view);
    const body = this.querySelector<HTMLElement>('.grid-body')!;
    const rows = this.querySelector<HTMLElement>('.grid-rows')!;
    body.style.height = `${total}px`;
    rows.style.transform = `translateY(${top}px)`;
  }

  private template(): TemplateResult {
    const {rows, choosing} = this.data;
    const view = this.view;
    const {first, end} = windowOf(view);
    const active = this.shown[this.active.row];
    const visible = this.active.row < 0 ||
        (this.active.row >= first && this.active.row < end);
    const columns = choosing ? COLUMNS : COLUMNS.slice(0, -1);
    const id = this.active.row < 0 ? `head-${this.active.column}` :
                                     `cell-${active?.order}-${
                                         this.active.column}`;
    return html`
      ${this.tools()}
      <div class="grid ${choosing ? '' : 'no-choice'}" role="grid" tabindex="0"
          data-test="tensor-table" aria-label="Tensors"
          aria-rowcount=${this.shown.length + 1}
          aria-colcount=${columns.length}
          aria-activedescendant=${visible && this.shown.length > 0 ? id :
                                                                     nothing}
          @scroll=${() => this.schedule()}
          @keydown=${(e: KeyboardEvent) => this.keyDown(e)}>
        <div role="rowgroup" class="grid-head"><div role="row" aria-rowindex="1">
          ${columns.map((column, i) => this.head(column, i))}
        </div></div>
        <div role="rowgroup" class="grid-body"><div class="grid-rows"
            role="presentation">
          ${this.shown.slice(first, end).map(
              (row, i) => this.row(row, first + i, columns.length))}
        </div></div>
        ${this.shown.length === 0 && rows.length > 0 ? html`<p class="none">
          No tensor is called that.</p>` : nothing}
      </div>
      <p class="muted small keys">Arrow keys move, Space keeps a tensor as it is,
        Enter looks into it, <kbd>/</kbd> filters.</p>`;
  }

  private tools(): TemplateResult {
    const {rows} = this.data;
    const {text, dtypes, action} = this.filter;
    const counts = dtypeCounts(rows.map((r) => r.tensor));
    const found = this.shown.length;
    const chip = (pressed: boolean, label: unknown, click: () => void) =>
        html`<button type="button" class="chip" aria-pressed=${pressed}
            @click=${click}>${label}</button>`;
    return html`<div class="tools">
      <input type="search" data-test="filter" spellcheck="false"
          autocapitalize="off" aria-label="Filter by name"
          aria-describedby="filter-found" placeholder="Filter: part of a name, or /regex/"
          .value=${live(text)} @input=${(e: Event) =>
              this.setFilter({text: (e.target as HTMLInputElement).value})}>
      <div class="row chips-row" role="group" aria-label="Filter by type">
        ${counts.length < 2 ? nothing : counts.slice(0, 8).map(
            ([dtype, count]) => chip(dtypes.has(dtype),
                html`${dtype} <span class="count">${countText(count)}</span>`,
                () => {
                  const next = new Set(dtypes);
                  if (!next.delete(dtype)) next.add(dtype);
                  this.setFilter({dtypes: next});
                }))}
        ${chip(action === 'quantize', 'Quantized', () => this.setFilter(
            {action: action === 'quantize' ? '' : 'quantize'}))}
        ${chip(action === 'copy', 'As they are', () => this.setFilter(
            {action: action === 'copy' ? '' : 'copy'}))}
      </div>
      <p class="found-line" id="filter-found">${this.problem !== '' ?
          html`<span class="warn">${this.problem}</span>` :
          found === rows.length ? plural(found, 'tensor') :
                                  `${countText(found)} of ${
                                      plural(rows.length, 'tensor')}`}
        ${this.bulk(found < rows.length)}</p>
    </div>`;
  }

  // For all that are found at once; a pattern does it better for all tensors.
  private bulk(filtered: boolean): TemplateResult|typeof nothing {
    if (!filtered || !this.data.choosing) return nothing;
    const names = () => this.shown.filter((row) => this.mayChoose(row))
                            .map((row) => row.tensor.name);
    return html`<button type="button" class="link" data-test="keep-found"
        @click=${() => this.data.choose(names(), 'skip')}>Keep these as they
        are</button> · <button type="button" class="link" @click=${() =>
        this.data.choose(names(), '')}>Back to the rules</button>`;
  }

  private head(column: Column, i: number): TemplateResult {
    const {key, title, kind} = column;
    const sorted = this.sort.key === key && key !== 'order';
    const active = this.active.row < 0 && this.active.column === i;
    return html`<div role="columnheader" id="head-${i}" class="cell ${kind} ${
        active ? 'active' : ''}" aria-sort=${!sorted ? 'none' :
            this.sort.descending ? 'descending' : 'ascending'}>
      ${key === 'choice' || key === 'order' ? title : html`<button type="button"
          tabindex="-1" @click=${() => this.sortBy(key)}>${title}<span
          aria-hidden="true">${!sorted ? '' :
              this.sort.descending ? '\u00a0↓' : '\u00a0↑'}</span></button>`}</div>`;
  }

  private row(row: Row, index: number, columns: number): TemplateResult {
    const {tensor, planned, newBytes} = row;
    const cell = (column: number, content: unknown, title = '') => {
      const active =
          this.active.row === index && this.active.column === column;
      return html`<div role="gridcell" id="cell-${row.order}-${column}"
          class="cell ${COLUMNS[column]!.kind} ${active ? 'active' : ''}"
          title=${title || nothing}>${content}</div>`;
    };
    const kept = planned !== null && planned.action !== 'quantize';
    const why = planned?.action === 'tie' ?
        `shares ${planned.tied_to}` :
        planned?.reason ?? '';
    return html`<div role="row" id="row-${row.order}" aria-rowindex=${index + 2}
        data-name=${tensor.name} class="${kept ? 'kept' : ''} ${
        tensor.name === this.data.current ? 'current' : ''}"
        @click=${(e: Event) => this.clicked(e, row, index)}>
      ${cell(0, nameParts(tensor.name), tensor.name)}
      ${row.stored === '' ?
          cell(1, tensor.dtype) :
          cell(1, row.stored.split(' · ')[0],
              `${row.stored}; stands for ${tensor.dtype}`)}
      ${cell(2, shapeText(tensor.shape))}
      ${cell(3, bytesText(tensor.bytes))}
      ${cell(4, html`<span>${row.becomes}</span>${kept && why !== '' ?
          html` <span class="why-kept">${why}</span>` : nothing}`,
          why)}
      ${cell(5, newBytes === null ? '' : bytesText(newBytes))}
      ${columns < COLUMNS.length ? nothing : cell(6, this.choice(row))}
    </div>`;
  }

  private choice(row: Row): unknown {
    if (!isFloat(row)) return nothing;
    const {name} = row.tensor;
    return tensorChoice(
        name, this.choiceOf(row), (choice) => this.data.choose([name], choice),
        -1);
  }

  private clicked(event: Event, row: Row, index: number): void {
    if ((event.target as HTMLElement).closest('select') !== null) return;
    this.active = {row: index, column: 0};
    this.schedule();
    this.data.open(row.tensor.name);
  }
}

customElements.define('mq-tensor-table', TensorTable);
