// The pictures of the README are there, small, and can be taken anew. What they
// show may differ from what the page shows now: that is for people to see.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import test from 'node:test';

import {outputsFolder, pathOf, requireChromium} from './harness.mjs';
import {PICTURES, SIZE, takeTour} from './tour.mjs';

const MAX_BYTES = 400_000;

// That they are all there, as PNG.
function checkPictures(folder) {
  for (const name of PICTURES) {
    const bytes = fs.readFileSync(path.join(folder, name));
    assert.equal(bytes.toString('latin1', 1, 4), 'PNG', name);
    assert.ok(bytes.length < MAX_BYTES, `${name}: ${bytes.length} bytes`);
    assert.deepEqual([bytes.readUInt32BE(16), bytes.readUInt32BE(20)],
                     [SIZE.width, SIZE.height], name);
  }
}

test('the pictures are there', () => checkPictures(pathOf('committed')));

test('they can be taken anew', async () => {
  requireChromium();
  await takeTour(pathOf('model'), outputsFolder());
  checkPictures(outputsFolder());
});
