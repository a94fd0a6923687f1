// What a run made: files to take away, and how good they are.

import {html, nothing} from 'lit-html';
import type {TemplateResult} from 'lit-html';

import type {App} from './app';
import {failureOf} from './failure';
import {
  bytesText, decibelText, numberText, plural, ratioText, secondsText, sentence,
} from './format';
import {help, nameParts} from './parts';
import {barLength, barsPlot, plotFile} from './plots';
import {reportHtml, reportJson, summaryOf, worstFirst} from './report';
import type {Report} from './report';
import {
  canSaveAs, canSaveToFolder, copyText, downloadText, saveAs, saveToFolder,
} from './saving';
import {schemeText} from './scheme';
import type {SchemeJson} from './scheme';
import type {Finished, NamedFile} from './state';

function reportOf(app: App, finished: Finished): Report {
  const {about, input} = app.state;
  return {
    version: about?.version ?? '',
    input: {
      name: finished.inputName,
      bytes: finished.bytesIn,
      info: input!.info,
    },
    output: {name: finished.outputName},
    request: finished.request,
    plan: finished.plan,
    run: finished.run,
    command: app.command(),
  };
}

async function save(app: App, doing: () => Promise<boolean>): Promise<void> {
  try {
    if (await doing()) app.store.set({notice: 'Saved.'});
  } catch (error) {
    const {message} = failureOf('', error);
    app.store.set({
      notice: `The file could not be saved there. ${message} ` +
          'Choose another place, or download it.',
    });
  }
}

function file(app: App, of: NamedFile): TemplateResult {
  return html`<li class="file">
    <div class="file-name"><code>${of.saveAs}</code>
      <span class="muted">${bytesText(of.bytes)}${
      of.copied ? ', as in the input' : ''}</span></div>
    <div class="row">
      <a class="button" data-test="download" href=${of.url}
          download=${of.saveAs}>Download</a>
      ${canSaveAs && of.file !== undefined ? html`<button type="button"
          class="quiet" data-test="save-as" @click=${() => save(app,
              () => saveAs(of.file!, of.saveAs))}>Save as…</button>` : nothing}
    </div>
    <p class="hash"><span class="muted">SHA-256</span>
      <code data-test="sha256" data-name=${of.name}>${of.sha256}</code>
      <button type="button" class="link" aria-label="Copy the SHA-256 of ${
      of.saveAs}" @click=${() => copyText(of.sha256)}>copy</button></p>
  </li>`;
}

// A browser asks before it lets a page start several downloads; each of them is
// a link as well.
function downloadAll(): void {
  document.querySelectorAll<HTMLAnchorElement>('a[data-test=download]')
      .forEach((link, i) => setTimeout(() => link.click(), 400 * i));
}

function files(app: App, finished: Finished): TemplateResult {
  const many = finished.files.length > 1;
  return html`<div class="files">
    <h3>${many ? plural(finished.files.length, 'file') : 'File'}</h3>
    ${!many ? nothing : html`<p class="row">
      ${canSaveToFolder ? html`<button type="button" class="primary"
          data-test="save-folder" @click=${() => save(app, () => saveToFolder(
              finished.outputName, finished.files,
              (done) => app.store.set({notice: `Saving file ${done + 1} of ${
                  finished.files.length} …`})))}>Save all to a folder…</button>` :
          nothing}
      <button type="button" data-test="download-all" @click=${downloadAll}
          >Download all</button></p>
      <p class="muted">They belong into a folder of their own:
        <code>${finished.outputName}</code></p>`}
    <ul class="file-list">${finished.files.map((f) => file(app, f))}</ul>
    ${finished.plan.output.python === '' ? nothing : html`<p class="muted">Load it
      with</p><pre class="load">${finished.plan.output.python.replace(
          'PATH', JSON.stringify(finished.outputName))}</pre>`}
  </div>`;
}

function layers(app: App, finished: Finished): TemplateResult|typeof nothing {
  const worst = worstFirst(finished.run.results.tensors);
  if (worst.length === 0) return nothing;
  const {shown} = finished;
  const bars = () => plotFile(barsPlot('SQNR of each layer, worst first',
      worst.map((t) => ({name: t.name, decibels: t.sqnr_db}))));
  return html`<div class="layers">
    <h3>Quality of each layer, worst first</h3>
    <div class="scroll"><table>
      <caption class="sr">SQNR of each layer, worst first</caption>
      <thead><tr><th scope="col">Tensor</th><th scope="col" class="n">SQNR</th>
        <th scope="col" class="bar-column"><span class="sr">Bar</span></th>
        <th scope="col" class="n wide-only">Largest error</th>
        <th scope="col" class="wide-only">Scheme</th></tr></thead>
      <tbody>${worst.slice(0, shown).map((t) => html`<tr>
        <th scope="row"><button type="button" class="link name"
            title=${t.name} data-test="layer"
            @click=${() => app.showTensor(t.name)}>${
            nameParts(t.name)}</button></th>
        <td class="n">${decibelText(t.sqnr_db)}</td>
        <td class="bar-column"><svg class="sqnr-bar" viewBox="0 0 100 8"
            preserveAspectRatio="none" aria-hidden="true">
          <rect class="track" width="100" height="8"/>
          <rect class="bar" width=${100 * barLength(t.sqnr_db)} height="8"/>
          </svg></td>
        <td class="n wide-only">${numberText(t.max_abs_error)}</td>
        <td class="wide-only">${schemeText(t.scheme as SchemeJson)}</td>
      </tr>`)}</tbody></table></div>
    <p class="row">
      ${worst.length <= shown ? nothing : html`<button type="button"
          class="quiet" @click=${() => app.showLayers(worst.length)}>Show all
          ${worst.length}</button>`}
      <button type="button" class="quiet small" data-test="save-plot"
          @click=${() => downloadText('sqnr.svg', 'image/svg+xml', bars())}
          >Save as SVG</button></p>
  </div>`;
}

export function resultPanel(app: App): TemplateResult|typeof nothing {
  const {finished, phase} = app.state;
  if (finished === null || phase !== 'result') return nothing;
  const {run} = finished;
  const summary = summaryOf(run.results.tensors);
  const base = finished.outputName.replace(/\.[^.]+$/, '');
  return html`<section class="panel result-panel" data-test="result"
      aria-labelledby="result-title">
    <p class="eyebrow">Done in ${secondsText(run.seconds)}</p>
    <h2 id="result-title" tabindex="-1" data-heading="result">${
      finished.outputName}</h2>
    <div class="outcome">
      <p class="big">${bytesText(finished.bytesIn)} <span class="arrow">→</span>
        <b>${bytesText(run.bytesOut)}</b></p>
      <p class="ratio">${ratioText(finished.bytesIn, run.bytesOut)}</p>
      ${summary.mean === null ? nothing : html`<p class="helped">SQNR
        <b>${decibelText(summary.mean)}</b> on average,
        <b>${decibelText(summary.min)}</b> for the worst layer${
          help('sqnr', 'SQNR')}</p>`}
    </div>
    ${finished.plan.notes.map((n) => html`<p class="muted note">${sentence(n)}</p>`)}
    ${files(app, finished)}
    ${layers(app, finished)}
    <div class="row reports">
      <button type="button" class="quiet" data-test="report-html"
          @click=${() => downloadText(`${base}-report.html`, 'text/html',
              reportHtml(reportOf(app, finished)))}>Report to read (HTML)</button>
      <button type="button" class="quiet" data-test="report-json"
          @click=${() => downloadText(`${base}-report.json`,
              'application/json', reportJson(reportOf(app, finished)))}
          >Report for programs (JSON)</button>
    </div>
  </section>`;
}
