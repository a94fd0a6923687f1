// What a worker does for each call. Its handles are numbers of its own.

import {hashFiles} from './hash_files.js';
import type {
  Checkpoint, Monoquant, PartSink, Plan, Progress,
} from './monoquant.mjs';
import {withQuota} from './opfs_output.js';
import {
  sinksOf, type OpenedInput, type Output, type WorkerPlatform,
} from './output.js';
import type {CallName, Calls, StepMessage} from './protocol.js';
import {RemoteFiles, writeFor} from './remote_files.js';
import type {Task} from './task.js';

type Report = (step: StepMessage) => void;

/** An open checkpoint and where its bytes come from. */
interface OpenCheckpoint {
  type: 'checkpoint';
  checkpoint: Checkpoint;
  input: OpenedInput;
}
interface OpenPlan {
  type: 'plan';
  plan: Plan;
  input: OpenedInput;
}
interface OpenOutput {
  type: 'output';
  output: Output;
  bytes: number;
  ports: MessagePort[];
  input: OpenedInput;
}
type Open = OpenCheckpoint|OpenPlan|OpenOutput;

/** The sinks that a part of a run writes to. */
interface PartFiles {
  sinks: PartSink[];
  /** Waits for bytes that are on their way. */
  drain(limit?: number): Promise<void>;
  close(): void;
}

type Handler<Name extends CallName> =
    (args: Calls[Name]['args'], task: Task, report: Report) =>
        Promise<Calls[Name]['result']>;

type Handlers = {[Name in CallName]: Handler<Name>};

export class WorkerCalls implements Handlers {
  readonly #open = new Map<number, Open>();
  #lastHandle = 0;

  constructor(
      private readonly monoquant: Monoquant,
      private readonly platform: WorkerPlatform) {}

  #keep(object: Open): number {
    this.#open.set(++this.#lastHandle, object);
    return this.#lastHandle;
  }

  #get<Type extends Open['type']>(
      handle: number, type: Type): Extract<Open, {type: Type}> {
    const object = this.#open.get(handle);
    if (object?.type !== type) {
      throw new Error(`handle ${handle} is no open ${type}`);
    }
    return object as Extract<Open, {type: Type}>;
  }

  about: Handler<'about'> = async () => this.monoquant.about;

  open: Handler<'open'> = async ({input, options}) => {
    const opened = this.platform.openInput(input, options);
    try {
      const checkpoint = this.monoquant.open({
        ...options,
        files: opened.files,
        main: opened.main,
        path: opened.path,
      });
      const handle =
          this.#keep({type: 'checkpoint', checkpoint, input: opened});
      return {checkpoint: handle, info: checkpoint.info};
    } catch (error) {
      opened.close();
      throw error;
    }
  };

  plan: Handler<'plan'> = async (args, task, report) => {
    const {checkpoint, input} = this.#get(args.checkpoint, 'checkpoint');
    const plan = checkpoint.plan(args.request);
    try {
      const bytesTotal = plan.info.plan.input_bytes;
      await task.finish(plan.settle(), () => report({
        phase: 'settle',
        bytesDone: 0,
        bytesTotal,
        tensor: null,
        signal: 0,
        noise: 0,
      }));
      return {plan: this.#keep({type: 'plan', plan, input}), info: plan.info};
    } catch (error) {
      plan.close();
      throw error;
    }
  };

  survey: Handler<'survey'> = async (args, task) => {
    const {checkpoint} = this.#get(args.checkpoint, 'checkpoint');
    const {tensor, bins, against} = args;
    return task.finish(checkpoint.survey({
      tensor,
      bins,
      against: against && {
        checkpoint: this.#get(against.checkpoint, 'checkpoint').checkpoint,
        tensor: against.tensor,
      },
    }));
  };

  createOutput: Handler<'createOutput'> = async (args) => {
    const {plan, input} = this.#get(args.plan, 'plan');
    const {ports} = args;
    const output = await this.platform.createOutput(
        plan.info, input, args.sink, args.directory, ports.length > 0);
    for (const port of ports) writeFor(port, output.files);
    const bytes = plan.info.output.bytes;
    return {
      output: this.#keep({type: 'output', output, bytes, ports, input}),
      shared: output.shared,
      temporary: output.temporary,
    };
  };

  run: Handler<'run'> = async (args, task, report) => {
    const {plan} = this.#get(args.plan, 'plan');
    const {output, bytes} = this.#get(args.output, 'output');
    return withSpace(bytes, () => task.finish(
        plan.run(sinksOf(output), {chunkBytes: args.chunkBytes}),
        (step) => report(toStep('run', step))));
  };

  part: Handler<'part'> = async (args, task, report) => {
    const {plan, input} = this.#get(args.plan, 'plan');
    const files = await this.#partFiles(args);
    const bytes = plan.info.output.bytes;
    try {
      return await withSpace(bytes, async () => {
        const {part, parts, chunkBytes} = args;
        const records = await task.finish(
            plan.runPart(files.sinks, {part, parts, chunkBytes}), (step) => {
              report(toStep('run', step));
              return files.drain();
            });
        await files.drain(0);
        input.check();
        return records as Uint8Array<ArrayBuffer>;
      });
    } finally {
      files.close();
    }
  };

  async #partFiles(args: Calls['part']['args']): Promise<PartFiles> {
    if (args.output !== undefined) {
      return {
        sinks: sinksOf(this.#get(args.output, 'output').output),
        drain: async () => {},
        close: () => {},
      };
    }
    const {shared, port} = args;
    if (shared === undefined) throw new Error('a part without files');
    if (shared.kind === 'port') {
      if (port === undefined) throw new Error('a part without a port');
      return new RemoteFiles(port, shared.files);
    }
    const writers = await this.platform.openShared(shared);
    return {...writers, drain: async () => {}};
  }

  join: Handler<'join'> = async (args, task, report) => {
    const {plan} = this.#get(args.plan, 'plan');
    const {output, bytes} = this.#get(args.output, 'output');
    const {records, chunkBytes} = args;
    return withSpace(bytes, () => task.finish(
        plan.join(sinksOf(output), records, {chunkBytes}),
        (step) => report(toStep('finish', step))));
  };

  finish: Handler<'finish'> = async (args, task, report) => {
    const {output, bytes, input} = this.#get(args.output, 'output');
    return withSpace(bytes, async () => {
      const digests = args.hash ?
          await hashFiles(this.monoquant, output.files, task, report) :
          [];
      task.check();
      input.check();
      const described = output.files.map(({name, bytes, copied}) => (
          {name, bytes, copied}));
      const places = await output.commit();
      this.#forget(args.output);
      return described.map((file, i) => ({
        ...file,
        sha256: digests[i] ?? '',
        ...places[i],
      }));
    });
  };

  drop: Handler<'drop'> = async ({output}) => {
    if (this.#open.has(output)) {
      await this.#get(output, 'output').output.abort();
      this.#forget(output);
    }
    return null;
  };

  #forget(handle: number): void {
    const object = this.#open.get(handle);
    if (object?.type === 'output') {
      for (const port of object.ports) port.close();
    }
    this.#open.delete(handle);
  }

  close: Handler<'close'> = async ({handle}) => {
    const object = this.#open.get(handle);
    this.#open.delete(handle);
    if (object?.type === 'plan') object.plan.close();
    // Plans of it may be open still, and the files with them.
    if (object?.type === 'checkpoint') {
      object.checkpoint.close();
      const {input} = object;
      const used = [...this.#open.values()].some((o) => o.input === input);
      if (!used) input.close();
    }
    return null;
  };
}

function toStep(phase: StepMessage['phase'], step: Progress): StepMessage {
  return {phase, ...step};
}

/** Runs what writes an output, and explains it if there is no space. */
async function withSpace<T>(bytes: number, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw await withQuota(error, bytes);
  }
}
