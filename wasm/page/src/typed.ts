// The value of a field that people type into: what is drawn while they do, as
// when a plan arrives, leaves it alone.

import {noChange} from 'lit-html';
import {setCommittedValue} from 'lit-html/directive-helpers.js';
import {directive, Directive} from 'lit-html/directive.js';
import type {PropertyPart} from 'lit-html/directive.js';

class Typed extends Directive {
  render(value: string): unknown {
    return value;
  }

  override update(part: PropertyPart, [value]: [string]): unknown {
    const input = part.element as HTMLInputElement;
    if (input === document.activeElement || input.value === value) {
      return noChange;
    }
    // Else lit-html would compare with what it has drawn last, not with the
    // field.
    setCommittedValue(part);
    return value;
  }
}

export const typed = directive(Typed);
