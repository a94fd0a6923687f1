// The pictures of the page for the README: a model goes through it.
//
// usage: node tour.mjs --dist= --modules= --model=FILE --pictures=FOLDER

import * as fs from 'node:fs';
import * as path from 'node:path';

import {
  newFolder, option, pathOf, requireChromium, withPage,
} from './harness.mjs';

/** Of each, in pixels. */
export const SIZE = {width: 1200, height: 900};

/** The pictures, in the order of the tour. */
export const PICTURES = [
  'page_empty.png', 'page_recipe.png', 'page_result.png', 'page_tensor.png',
];

/** Takes the pictures of `model` going through the page, into `folder`. */
export async function takeTour(model, folder) {
  fs.mkdirSync(folder, {recursive: true});
  const pictures = PICTURES.values();
  const picture = (page) => page.screenshot({
    path: path.join(folder, pictures.next().value), animations: 'disabled',
  });
  // A name that says something, whatever the file is called where it lies.
  const input = path.join(newFolder('tour'), `MiniLM${path.extname(model)}`);
  fs.copyFileSync(model, input);
  await withPage(async (tab) => {
    const {page} = tab;
    await picture(page);
    await tab.inspect(input, {scheme: 'int4'});
    await tab.planned();
    // What else can be chosen is found out a little later.
    await page.waitForTimeout(1000);
    await picture(page);
    await tab.finish();
    await page.waitForTimeout(500);
    await picture(page);
    // The same page in the dark, with what has become of a weight.
    await page.emulateMedia({colorScheme: 'dark'});
    await page.locator('[data-test="layer"]').first().click();
    await page.locator('[data-test="drawer"] svg').first().waitFor();
    await page.waitForTimeout(500);
    await picture(page);
  }, {viewport: SIZE, colorScheme: 'light'});
}

if (process.argv.some((argument) => argument.startsWith('--pictures='))) {
  requireChromium();
  await takeTour(pathOf('model'), path.resolve(
      process.env.BUILD_WORKSPACE_DIRECTORY ?? '.', option('pictures')));
}
