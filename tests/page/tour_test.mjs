// The pictures of the README are there, small, and can be taken anew. What they
// show may differ from what the page shows now: that is for people to see.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {outputsFolder, pathOf, requireChromium} from './harness.mjs';
import {PICTURES, takeTour} from './tour.mjs';

const MAX_BYTES = 400_000;

// Width and height of a PNG.
function pngSize(file) {
  const bytes = fs.readFileSync(file);
  assert.equal(bytes.toString('latin1', 1, 4), 'PNG', file);
  assert.ok(bytes.length < MAX_BYTES, `${file}: ${bytes.length} bytes`);
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

test('the pictures are there', () => {
  const folder = pathOf('committed');
  for (const name of PICTURES) {
    assert.deepEqual(pngSize(path.join(folder, name)), [1200, 750]);
  }
});

test('they can be taken anew', async () => {
  requireChromium();
  await takeTour(pathOf('model'), outputsFolder());
  for (const name of PICTURES) {
    assert.deepEqual(pngSize(path.join(outputsFolder(), name)), [1200, 750]);
  }
});
