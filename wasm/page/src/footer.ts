// The line that is always in sight: where things stand, and the next step.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {App} from './app';
import {pick} from './drop_zone';
import {ratioText} from './format';
import {recipeLine} from './recipe_panel';
import {progressText} from './run_panel';
import {CHOICE_TEXTS} from './words';

function status(app: App): unknown {
  const {phase, input, planning, running, notice, finished} = app.state;
  if (phase === 'running') return progressText(running?.progress ?? null);
  if (notice !== '') return notice;
  if (phase === 'result' && finished !== null) {
    return 'Download the files before you close this tab.';
  }
  if (planning.failure !== null) return 'This recipe does not fit.';
  if (input === null || planning.info === null) return nothing;
  return html`<b>${recipeLine(app)}</b> <span class="muted">${
      ratioText(input.bytes, planning.info.output.bytes)}</span>`;
}

function button(app: App): unknown {
  const {phase, planning, running, input, form} = app.state;
  switch (phase) {
    case 'inspect':
      return html`<button type="button" class="primary" data-test="run"
          ?disabled=${planning.busy || planning.info === null}
          @click=${() => app.run()}>${CHOICE_TEXTS['mode']![form.mode]}</button>`;
    case 'running':
      return html`<button type="button" data-test="cancel"
          ?disabled=${running?.cancelling ?? false}
          @click=${() => app.cancelRun()}>Cancel</button>`;
    case 'result':
      return html`<button type="button" class="primary" data-test="again"
          @click=${() => app.again()}>${form.mode === 'quantize' ?
              'Quantize again' : 'Back to the recipe'}</button>`;
    case 'error':
      return input === null ?
          html`<button type="button" class="primary"
              @click=${() => pick('files')}>Choose other files</button>` :
          html`<button type="button" class="primary" data-test="again"
              @click=${() => app.again()}>Back to the recipe</button>`;
    default:
      return nothing;
  }
}

export function footer(app: App): TemplateResult|typeof nothing {
  const {phase, notice} = app.state;
  if (phase === 'reading' || (phase === 'empty' && notice === '')) {
    return nothing;
  }
  return html`<div class="footer-bar"><div class="footer-inner">
    <p class="footer-status" data-test="status">${status(app)}</p>${button(app)}
  </div></div>`;
}
