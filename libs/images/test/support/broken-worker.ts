throw new Error("no decoder here");
