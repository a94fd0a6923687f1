// The page for a state.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {App} from './app';
import {dropZone, fileInputs} from './drop_zone';
import {errorPanel} from './error_panel';
import {footer} from './footer';
import {bytesText} from './format';
import {inputSummary} from './input_summary';
import {logo} from './parts';
import {choicesByName} from './recipe_form';
import {recipePanel} from './recipe_panel';
import {resultPanel} from './result_panel';
import {runPanel} from './run_panel';
import {tensorDrawer} from './tensor_drawer';
import type {TableInput} from './tensor_table';
import {nextTheme, themeText} from './theme';
import type {Updates} from './updates';

function header(app: App, updates: Updates): TemplateResult {
  const {theme, updateReady, phase, about} = app.state;
  return html`<header class="top"><div class="top-inner">
    <a class="brand" href="./" @click=${(e: Event) => {
      // Nothing is lost by a click on the name.
      e.preventDefault();
    }}>${logo()}<span>monoquant</span></a>
    ${about === null ? nothing : html`<span class="muted small version">${
        about.version}</span>`}
    <span class="spring"></span>
    ${updateReady ? html`<button type="button" class="quiet" data-test="update"
        ?disabled=${phase === 'running'}
        title=${phase === 'running' ? 'After the run' : ''}
        @click=${() => updates.apply()}>Update available</button>` : nothing}
    <button type="button" class="quiet theme" data-test="theme"
        @click=${() => app.store.set({theme: nextTheme(theme)})}>${
      themeText(theme)}</button>
  </div></header>`;
}

function reading(app: App): TemplateResult {
  const {name = '', bytes = 0} = app.state.reading ?? {};
  return html`<section class="panel reading">
    <h2 tabindex="-1" data-heading="reading">Reading ${name} …</h2>
    <p class="muted">${bytesText(bytes)}. Only the list of tensors is read now.</p>
    <p><button type="button" data-test="cancel-reading"
        @click=${() => app.cancelOpening()}>Cancel</button></p>
  </section>`;
}

// Maps of choices are made anew for a new form only.
let lastForm: unknown = null;
let lastChoices: TableInput['choices'] = new Map();

function table(app: App): TemplateResult {
  const {rows, form, phase, drawer, running} = app.state;
  if (lastForm !== form) {
    lastForm = form;
    lastChoices = choicesByName(form);
  }
  const input: TableInput = {
    rows,
    choices: lastChoices,
    choosing: form.mode === 'quantize' &&
        (phase === 'inspect' || phase === 'error'),
    current: drawer?.tensor ?? running?.progress?.tensor ?? null,
    choose: (names, choice) => app.choose(names, choice),
    open: (name) => app.showTensor(name),
  };
  return html`<section class="tensors" aria-labelledby="tensors-title">
    <h2 id="tensors-title">Tensors</h2>
    <mq-tensor-table .input=${input}></mq-tensor-table></section>`;
}

function content(app: App): unknown {
  const {phase, input} = app.state;
  if (phase === 'empty') return dropZone(app);
  if (phase === 'reading') return reading(app);
  const editable = phase === 'inspect' || phase === 'error';
  return html`
    ${errorPanel(app)}${runPanel(app)}${resultPanel(app)}
    ${input === null ? nothing : html`
      ${editable ? html`${inputSummary(app)}${recipePanel(app)}` : nothing}
      ${table(app)}`}`;
}

export function page(app: App, updates: Updates): TemplateResult {
  return html`${header(app, updates)}
    <main id="main">${content(app)}</main>
    ${tensorDrawer(app)}
    ${footer(app)}
    ${fileInputs(app)}
    <div class="drop-hint" aria-hidden="true"><p>Drop to open</p></div>`;
}
