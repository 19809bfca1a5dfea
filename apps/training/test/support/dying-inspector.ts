// An inspector that ends as one without memory does: by the kernel's hand, without a word.

process.once("message", () => process.kill(process.pid, "SIGKILL"));
