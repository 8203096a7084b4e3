/* The search of a page that is opened from disk: such a page may start no worker, so that the
   script of the search runs in a hidden frame. Pages from a server keep their workers. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      this.scope = this.frame.contentWindow;
      const page = this.scope.document;
      page.open();
      page.write("<!doctype html><body>");
      page.close();
      this.scope.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      const script = page.createElement("script");
      this.ready = new Promise((resolve) => (script.onload = resolve));
      script.src = url;
      page.body.append(script);
    }

    postMessage(data) {
      this.ready.then(() =>
        this.scope.dispatchEvent(new this.scope.MessageEvent("message", { data }))
      );
    }

    terminate() {
      this.frame.remove();
    }
  };
}
