// Offline use, and newer versions of the page, which wait for a click.

import type {App} from './app';

export class Updates {
  private waiting: ServiceWorker|null = null;
  private applied = false;

  constructor(private readonly app: App) {}

  /** Asks for the service worker when the page has nothing else to do. */
  start(): void {
    if (!('serviceWorker' in navigator)) return;
    const register = () => {
      this.register().catch(
          () => {
              // Private windows and file: addresses have none; all else works.
          });
    };
    window.addEventListener('load', () => {
      if ('requestIdleCallback' in window) {
        requestIdleCallback(register, {timeout: 4000});
      } else {
        setTimeout(register, 500);
      }
    });
  }

  private async register(): Promise<void> {
    const container = navigator.serviceWorker;
    container.addEventListener('controllerchange', () => {
      // Only after the click: never by itself.
      if (this.applied) location.reload();
    });
    const registration =
        await container.register('./service_worker.js', {scope: './'});
    const look = (worker: ServiceWorker|null) => {
      if (worker === null) return;
      const tell = () => {
        if (worker.state === 'installed' && registration.active !== null) {
          this.waiting = worker;
          this.app.store.set({updateReady: true});
        }
      };
      worker.addEventListener('statechange', tell);
      tell();
    };
    look(registration.waiting);
    look(registration.installing);
    registration.addEventListener(
        'updatefound', () => look(registration.installing));
    await container.ready;
    this.app.store.set({offlineReady: true});
  }

  /** Loads the newer version. Not during a run. */
  apply(): void {
    if (this.waiting === null || this.app.state.phase === 'running') return;
    this.applied = true;
    this.waiting.postMessage('activate');
  }
}
