// The recipe: presets in plain words, and every choice behind them.

import {html, nothing} from 'lit-html';
import {live} from 'lit-html/directives/live.js';
import type {TemplateResult} from 'lit-html';

import {MOST_OFFERS_UNASKED} from './app';
import type {App} from './app';
import {GRANULARITIES, PROGRAMS} from './offers';
import type {Field} from './offers';
import {field, help, refusals, select} from './parts';
import type {Option} from './parts';
import {planEstimate, sizeChange} from './plan_estimate';
import {plainFormatFor, presetOf, PRESETS} from './presets';
import {isName, sizeOf, withoutRule, withSkip} from './recipe_form';
import type {Mode} from './recipe_form';
import {copyText, downloadText} from './saving';
import {
  choicesOf, formatText, FORMATS, withFormat, withGranularity,
} from './scheme';
import type {Granularity, Scheme} from './scheme';
import {typed} from './typed';
import {CHOICE_TEXTS, MODE_HELP} from './words';

type Texts = keyof typeof CHOICE_TEXTS;

function valueOf(event: Event): string {
  return (event.target as HTMLInputElement).value;
}

function options(
    app: App, texts: Texts, values: readonly string[], of?: Field): Option[] {
  return values.map((value) => ({
                      value,
                      text: CHOICE_TEXTS[texts]?.[value] ?? value,
                      refused: of === undefined ?
                          '' :
                          app.state.offers[of].get(value) ?? '',
                    }));
}

function modes(app: App): TemplateResult {
  const {mode} = app.state.form;
  return html`<fieldset class="segments"><legend class="sr">What to do</legend>
    ${Object.entries(CHOICE_TEXTS['mode']!).map(([value, text]) => html`<label>
      <input type="radio" name="mode" value=${value} data-test="mode-${value}"
          .checked=${live(mode === value)}
          @change=${() => app.change({mode: value as Mode})}><span>${
          text}</span></label>`)}
  </fieldset><p class="muted mode-help">${MODE_HELP[mode]}</p>`;
}

function presets(app: App): TemplateResult {
  const {form, input} = app.state;
  const plain = plainFormatFor(input?.info.container ?? '');
  const now = presetOf(form, plain);
  return html`<div class="presets" role="group" aria-label="Presets">
    ${PRESETS.map((preset) => html`<button type="button" class="preset"
        data-test="preset" data-preset=${preset.id}
        aria-pressed=${now === preset.id}
        @click=${() => app.setForm(preset.apply(form, plain))}>
      <strong>${preset.name}</strong><span>${preset.help}</span></button>`)}
  </div>`;
}

// What the number is of depends on the granularity: groups, blocks or an axis.
function groupSize(app: App, scheme: Scheme): TemplateResult {
  const block = scheme.granularity === 'block';
  return field(
      block ? 'Block size' : 'Group size', 'groupSize',
      html`<input id="group-size" data-test="group-size" type="number" min="1"
          step="1" inputmode="numeric" list="group-sizes" placeholder="automatic"
          .value=${typed(scheme.groupSize === null ? '' :
                                                   String(scheme.groupSize))}
          @change=${(e: Event) => {
            const size = Math.floor(Number(valueOf(e)));
            const groupSize = size > 0 ? size : null;
            app.change({
              scheme: {
                ...scheme,
                groupSize,
                // A size is a wish for groups.
                granularity: scheme.granularity === 'block' ||
                        groupSize === null ?
                    scheme.granularity :
                    'group',
                axis: null,
              },
            });
          }}><datalist id="group-sizes">${[16, 32, 64, 128, 256].map(
          (n) => html`<option value=${n}></option>`)}</datalist>`,
      'group-size');
}

function schemeFields(app: App): TemplateResult {
  const {form} = app.state;
  const {scheme} = form;
  const set = (change: Scheme) => app.change({scheme: change});
  const choices = choicesOf(scheme.format);
  const formats = options(app, 'scheme', ['', ...FORMATS], 'scheme');
  const granularities =
      options(app, 'granularity', GRANULARITIES, 'granularity');
  const ranges = options(app, 'symmetric', ['true', 'false'], 'symmetric');
  return html`
    ${field('Scheme', 'scheme', select('scheme', scheme.format, formats,
        (value) => set(withFormat(scheme, value))), 'scheme',
        refusals(formats))}
    ${choices.granularity ? html`
      ${field('Scale for', 'granularity', select('granularity',
          scheme.granularity, granularities,
          (value) => set(withGranularity(scheme, value as Granularity))),
          'granularity', refusals(granularities))}
      ${['auto', 'group', 'block'].includes(scheme.granularity) ?
          groupSize(app, scheme) : nothing}
      ${scheme.granularity === 'axis' ? axis(app, scheme) : nothing}` :
        nothing}
    ${choices.symmetric ? field('Range', 'symmetric', select('symmetric',
        String(scheme.symmetric ?? true), ranges,
        (value) => set({...scheme, symmetric: value === 'true' ? null : false})),
        'symmetric', refusals(ranges)) : nothing}
    ${choices.granularity ? field('Algorithm', 'algorithm',
        select('algorithm', 'rtn',
            [{value: 'rtn', text: 'Round to nearest (RTN)', refused: ''}],
            () => {}), 'algorithm') : nothing}`;
}

function axis(app: App, scheme: Scheme): TemplateResult {
  return field('Axis', 'granularity', html`<input id="axis" type="number"
      data-test="axis" min="0" max="63" placeholder="0"
      .value=${typed(scheme.axis === null ? '' : String(scheme.axis))}
      @change=${(e: Event) => app.change({scheme: {
        ...scheme,
        axis: valueOf(e) === '' ? null : Number(valueOf(e)),
      }})}>`, 'axis');
}

function outputFields(app: App): TemplateResult {
  const {form, about} = app.state;
  const descriptions =
      new Map(about?.formats.map((f) => [f.name, f.description]));
  const formats = ['', ...descriptions.keys()].map(
      (value) => ({
        value,
        text: value === '' ? 'What the program takes' :
                             `${value} — ${descriptions.get(value)}`,
        refused: value === '' ?
            (form.program === '' ? 'Choose a program, or a format.' : '') :
            app.state.offers.format.get(value) ?? '',
      }));
  const programs = options(app, 'program', PROGRAMS, 'program');
  return html`
    ${form.mode === 'dequantize' ? field('Type', 'dtype', select('dtype',
        form.dtype, options(app, 'dtype', ['', 'F32', 'F16', 'BF16', 'F64']),
        (dtype) => app.change({dtype})), 'dtype') :
        field('Made for', 'program', select('program', form.program, programs,
            (program) => app.change({
              program,
              // With nobody to choose it there has to be a format.
              format: program === '' && form.format === '' ?
                  plainFormatFor(app.state.input?.info.container ?? '') :
                  form.format,
            })), 'program', refusals(programs))}
    ${field('Output', 'format', select('output-format', form.format, formats,
        (format) => app.change({format})), 'output-format',
        refusals(formats))}
    ${field('Files of at most', 'shards', html`<input id="shards" type="text"
        data-test="max-shard-size" placeholder="as in the input" size="12"
        .value=${typed(form.maxShardBytes === null ? '' :
                                                    sizeText(form.maxShardBytes))}
        @change=${(e: Event) => setShards(app, e)}>`, 'shards')}`;
}

function sizeText(bytes: number): string {
  for (const [unit, size] of [['G', 2 ** 30], ['M', 2 ** 20], ['K', 2 ** 10]] as
       const) {
    if (bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}

function setShards(app: App, event: Event): void {
  const input = event.target as HTMLInputElement;
  const size = sizeOf(input.value);
  const wrong = Number.isNaN(size) || size === 0;
  input.setCustomValidity(wrong ? 'A size is like 5G, 500M or 100000.' : '');
  if (wrong) {
    input.reportValidity();
  } else {
    app.change({maxShardBytes: size});
  }
}

function rules(app: App): TemplateResult {
  const {form} = app.state;
  const patterns = form.rules.filter((r) => !isName(r.match));
  const names = form.rules.length - patterns.length;
  return html`<div class="field wide">
    <label for="skip-add">Leave as they are</label>${help('skip', 'skips')}
    <form class="row" @submit=${(e: Event) => {
      e.preventDefault();
      const input = document.getElementById('skip-add') as HTMLInputElement;
      const pattern = input.value.trim();
      input.value = '';
      if (pattern !== '') app.setForm(withSkip(app.state.form, pattern));
    }}>
      <input id="skip-add" data-test="skip-add" type="text" spellcheck="false"
          autocapitalize="off" placeholder="*.lm_head.*">
      <button type="submit" data-test="skip-add-button">Add</button>
    </form>
    <ul class="chips" aria-label="Rules">${patterns.map((r) => html`<li>
      <code>${r.match}</code>${r.scheme.format === 'skip' ? nothing :
          html` → ${formatText(r.scheme.format)}`}
      <button type="button" class="chip-x" data-test="rule-remove"
          aria-label="Remove the rule ${r.match}"
          @click=${() => app.setForm(withoutRule(form, r.match))}>×</button>
      </li>`)}${names === 0 ? nothing : html`<li>${names}
        ${names === 1 ? 'tensor' : 'tensors'} chosen in the table
      <button type="button" class="chip-x"
          aria-label="Forget the choices of the table" @click=${() =>
              app.change({rules: patterns})}>×</button></li>`}</ul>
  </div>`;
}

const LAYER_TYPES = [
  'Linear', 'TransposedLinear', 'Conv1d', 'Conv2d', 'Conv3d', 'Embedding',
  'LSTM', 'GRU', 'RNN', 'Experts',
];

function advanced(app: App): TemplateResult {
  const {form} = app.state;
  const {scheme} = form;
  const choices = choicesOf(scheme.format);
  const found = new Set(app.state.input?.info.tensors.map((t) => t.layer_type));
  const types = [...new Set([
    ...LAYER_TYPES.filter((t) => found.has(t)), ...form.layerTypes])];
  return html`<details class="advanced"><summary>More choices</summary>
    <div class="fields">
    ${choices.scaleDtype ? field('Scales are', 'scaleDtype', select(
        'scale-dtype', scheme.scaleDtype, options(app, 'scaleDtype',
            Object.keys(CHOICE_TEXTS['scaleDtype']!)),
        (scaleDtype) => app.change({scheme: {...scheme, scaleDtype}})),
        'scale-dtype') : nothing}
    ${choices.convention ? field('Rounding of', 'algorithm', select(
        'convention', scheme.convention, [
          {value: '', text: 'torch', refused: ''},
          {value: 'compressed-tensors', text: 'compressed-tensors', refused: ''},
        ], (convention) => app.change({scheme: {...scheme, convention}})),
        'convention') : nothing}
    ${choices.doubleQuant ? html`<div class="field"><label class="check">
      <input type="checkbox" data-test="double-quant"
          .checked=${live(scheme.doubleQuant)} @change=${(e: Event) =>
          app.change({scheme: {
            ...scheme, doubleQuant: (e.target as HTMLInputElement).checked}})}>
      Quantize the scales too</label>${help('doubleQuant', 'double quantization')}
      </div>` : nothing}
    ${field('Values that are no numbers', 'nonfinite', select('nonfinite',
        form.nonfinite, options(app, 'nonfinite',
            Object.keys(CHOICE_TEXTS['nonfinite']!)),
        (nonfinite) => app.change({nonfinite})), 'nonfinite')}
    ${field('Leave tensors with fewer elements', 'minElements',
        html`<input id="min-elements" data-test="min-elements" type="number"
          min="0" placeholder="512" .value=${typed(form.minElements === null ?
              '' : String(form.minElements))} @change=${(e: Event) =>
              app.change({minElements: valueOf(e) === '' ? null :
                  Math.max(0, Math.floor(Number(valueOf(e))))})}>`,
        'min-elements')}
    ${types.length < 2 ? nothing : html`<fieldset class="field wide">
      <legend>Layers</legend>${help('layerTypes', 'layers')}
      <div class="row">${types.map((type) => html`<label class="check">
        <input type="checkbox" .checked=${live(form.layerTypes.includes(type))}
          @change=${() => app.change({
            layerTypes: form.layerTypes.includes(type) ?
                form.layerTypes.filter((t) => t !== type) :
                [...form.layerTypes, type]})}>${type}</label>`)}</div>
      </fieldset>`}
    </div></details>`;
}

function command(app: App): TemplateResult|typeof nothing {
  const text = app.command();
  if (text === '') return nothing;
  return html`<details class="command"><summary>The same on the command line
    </summary>
    <pre data-test="command"><code>${text}</code></pre></details>`;
}

async function copyCommand(app: App, event: Event): Promise<void> {
  const button = event.currentTarget as HTMLButtonElement;
  const copied = await copyText(app.command());
  app.store.set({notice: copied ?
      'The command is copied.' :
      'This browser does not let the page copy. The command is shown below ' +
          'the recipe.'});
  button.focus();
}

function loadInput(app: App): TemplateResult {
  return html`<input class="hidden" id="recipe-file" type="file" tabindex="-1"
      accept=".json,application/json" data-test="load-recipe"
      aria-label="Recipe as JSON" @change=${(e: Event) => {
        const input = e.target as HTMLInputElement;
        const file = input.files?.[0];
        if (file !== undefined) app.loadRecipe(file);
        input.value = '';
      }}>`;
}

function actions(app: App): TemplateResult {
  const {form, planning} = app.state;
  return html`<div class="row recipe-actions">
    <button type="button" class="quiet" data-test="copy-command"
        ?disabled=${planning.info === null}
        @click=${(e: Event) => copyCommand(app, e)}>Copy CLI command</button>
    ${form.mode !== 'quantize' ? nothing : html`
      <button type="button" class="quiet" data-test="save-recipe" @click=${() =>
          downloadText('recipe.json', 'application/json', app.recipeText())}
          >Save recipe</button>
      <button type="button" class="quiet" @click=${() =>
          document.getElementById('recipe-file')!.click()}>Load recipe</button>`}
    ${loadInput(app)}
  </div>`;
}

const FIELDS: Record<string, Field> = {
  'scheme': 'scheme',
  'granularity': 'granularity',
  'symmetric': 'symmetric',
  'output-format': 'format',
  'program': 'program',
};

// Of large models the choices of a field are found out when it gets the focus.
function lookAt(app: App, event: Event): void {
  const field = FIELDS[(event.target as HTMLElement).id];
  const {input} = app.state;
  if (field !== undefined && input !== null &&
      input.info.tensors.length > MOST_OFFERS_UNASKED) {
    app.findOffers(field);
  }
}

/** Everything that may be chosen, and what it would give. */
export function recipePanel(app: App): TemplateResult {
  const quantize = app.state.form.mode === 'quantize';
  return html`<section class="recipe" aria-labelledby="recipe-title">
    <div class="recipe-head">
      <h2 id="recipe-title">Recipe</h2>
      ${modes(app)}
    </div>
    ${quantize ? presets(app) : nothing}
    <div class="recipe-grid">
      <div class="stack">
        <div class="fields" @focusin=${(e: Event) => lookAt(app, e)}>
          ${quantize ? schemeFields(app) : nothing}
          ${outputFields(app)}
          ${quantize ? rules(app) : nothing}
        </div>
        ${quantize ? advanced(app) : nothing}
        ${actions(app)}
      </div>
      <div class="recipe-side">
        ${planEstimate(app.state)}
        ${command(app)}
      </div>
    </div>
  </section>`;
}

/** For the footer: what the button would do, in a few words. */
export function recipeLine(app: App): string {
  const {input, planning} = app.state;
  if (input === null || planning.info === null) return '';
  return sizeChange(input.bytes, planning.info.output.bytes);
}
