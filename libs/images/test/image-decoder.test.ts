import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, describe, it } from "node:test";
import sharp from "sharp";
import { StatusError, type Reason } from "@servable/errors";
import { createImageDecoder, type ImageSpec } from "../src/index.ts";

const SPEC: ImageSpec = { width: 8, height: 8, fit: "crop", fill: 0, resample: "bilinear", colors: "rgb", layout: "nhwc", datatype: "UINT8", scale: 1, mean: [0], std: [1], background: 255 };
const [WIDTH, HEIGHT] = [24, 16];
const because = (reason: Reason, pattern: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === reason && pattern.test(error.message);

/** Left half orange, right half blue: what stands where can be asked of any format. */
const raw = Buffer.from(Array.from({ length: WIDTH * HEIGHT }, (_, index) => (index % WIDTH < WIDTH / 2 ? [250, 130, 10] : [10, 40, 240])).flat());
const source = () => sharp(raw, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } });

const decoder = createImageDecoder();
after(() => decoder[Symbol.asyncDispose]());
const colorsOf = async (file: Uint8Array, spec: Partial<ImageSpec> = {}) => {
  const { data, shape } = await decoder.tensor(file, { ...SPEC, ...spec });
  const [height = 0, width = 0] = shape;
  const at = (x: number, y: number): number[] => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
  return { left: at(1, height >> 1), right: at(width - 2, height >> 1), top: at(width >> 1, 1), bottom: at(width >> 1, height - 2) };
};
const near = (got: readonly number[], want: readonly number[], tolerance: number): void => {
  got.forEach((value, index) => assert.ok(Math.abs(value - (want[index] ?? NaN)) <= tolerance, `${got.join(",")} is not near ${want.join(",")}`));
};

describe("pictures of all kinds", { timeout: 60_000 }, () => {
  // Tolerances are those of lossy compression with halved colour resolution.
  const kinds: { what: string; make: () => Promise<Buffer>; left?: number[]; right?: number[]; tolerance: number }[] = [
    { what: "JPEG", make: () => source().jpeg({ quality: 95 }).toBuffer(), tolerance: 12 },
    { what: "progressive JPEG", make: () => source().jpeg({ quality: 95, progressive: true }).toBuffer(), tolerance: 12 },
    { what: "grey JPEG", make: () => source().greyscale().jpeg({ quality: 95 }).toBuffer(), left: [157, 157, 157], right: [60, 60, 60], tolerance: 30 },
    { what: "CMYK JPEG", make: () => source().toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer(), right: [19, 65, 141], tolerance: 70 },
    { what: "PNG", make: () => source().png().toBuffer(), tolerance: 0 },
    { what: "interlaced PNG with a palette", make: () => source().png({ palette: true, progressive: true }).toBuffer(), tolerance: 4 },
    { what: "PNG of 16 bits", make: () => source().toColourspace("rgb16").png().toBuffer(), tolerance: 1 },
    { what: "grey PNG with transparency", make: () => source().greyscale().ensureAlpha(1).png().toBuffer(), left: [157, 157, 157], right: [60, 60, 60], tolerance: 30 },
    { what: "WebP", make: () => source().webp({ quality: 95 }).toBuffer(), tolerance: 20 },
    { what: "lossless WebP", make: () => source().webp({ lossless: true }).toBuffer(), tolerance: 0 },
    { what: "GIF", make: () => source().gif().toBuffer(), tolerance: 12 },
    { what: "TIFF", make: () => source().tiff({ compression: "lzw" }).toBuffer(), tolerance: 0 },
    { what: "AVIF", make: () => source().avif({ quality: 90 }).toBuffer(), tolerance: 25 },
  ];
  for (const { what, make, left = [250, 130, 10], right = [10, 40, 240], tolerance } of kinds) {
    it(`decodes ${what}`, async () => {
      const found = await colorsOf(await make());

      near(found.left, left, tolerance);
      near(found.right, right, tolerance);
    });
  }

  it("decodes the first picture of an animation", async () => {
    const frames = await Promise.all([source().png().toBuffer(), sharp({ create: { width: WIDTH, height: HEIGHT, channels: 3, background: "#00ff00" } }).png().toBuffer()]);
    const animation = await sharp(frames, { join: { animated: true } }).webp({ lossless: true, loop: 0 }).toBuffer();

    near((await colorsOf(animation)).left, [250, 130, 10], 0);
  });

  it("turns a picture upright as its EXIF orientation says", async () => {
    const turned = await source().withMetadata({ orientation: 6 }).png().toBuffer();
    const { width, height } = await decoder.tensor(turned, SPEC);
    const { top, bottom } = await colorsOf(turned);

    assert.deepEqual([width, height], [HEIGHT, WIDTH]);
    near(top, [250, 130, 10], 0);
    near(bottom, [10, 40, 240], 0);
  });

  it("puts transparent pixels upon the background that is asked for, or takes them as they are stored", async () => {
    const transparent = await sharp({ create: { width: 9, height: 9, channels: 4, background: { r: 200, g: 0, b: 0, alpha: 0 } } }).png().toBuffer();

    assert.deepEqual((await colorsOf(transparent, { background: 255 })).left, [255, 255, 255]);
    assert.deepEqual((await colorsOf(transparent, { background: 0 })).left, [0, 0, 0]);
    assert.deepEqual((await colorsOf(transparent, { background: undefined })).left, [200, 0, 0]);
  });

  it("makes the numbers, colours and order that the model wants", async () => {
    const png = await source().png().toBuffer();
    const tensor = await decoder.tensor(png, { ...SPEC, width: 2, height: 1, fit: "stretch", resample: "nearest", layout: "nchw", colors: "bgr", datatype: "FP32", scale: 1 / 255, mean: [0.5, 0.25, 0], std: [0.5, 1, 2] });
    const values = new Float32Array(new Uint8Array(tensor.data).buffer);

    assert.deepEqual(tensor.shape, [3, 1, 2]);
    const want = [(10 / 255 - 0.5) / 0.5, (240 / 255 - 0.5) / 0.5, 130 / 255 - 0.25, 40 / 255 - 0.25, 250 / 255 / 2, 10 / 255 / 2];
    values.forEach((value, index) => assert.ok(Math.abs(value - (want[index] ?? NaN)) < 1e-6)); // f32 of exact values
    assert.deepEqual((await decoder.tensor(png, { ...SPEC, colors: "gray" })).shape, [8, 8, 1]);
  });

  it("fits all of a picture between bars, or cuts its middle out", async () => {
    const png = await source().png().toBuffer();
    const boxed = await colorsOf(png, { fit: "letterbox", width: 24, height: 24, fill: 7 });
    const cut = await decoder.tensor(png, { ...SPEC, shortSide: 16, width: 4, height: 4 });

    assert.deepEqual([boxed.top, boxed.bottom], [[7, 7, 7], [7, 7, 7]]);
    near(boxed.left, [250, 130, 10], 0);
    assert.deepEqual([...cut.data.subarray(0, 3), ...cut.data.subarray(9, 12)], [250, 130, 10, 10, 40, 240]);
  });

  const refused: { what: string; make: () => Promise<Uint8Array> | Uint8Array; message: RegExp }[] = [
    { what: "nothing", make: () => new Uint8Array(), message: /is empty/ },
    { what: "a text", make: () => Buffer.from("hello, I am a picture"), message: /no format that is read/ },
    { what: "SVG", make: () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), message: /no format that is read/ },
    { what: "a JPEG that is cut off", make: async () => (await source().resize(400, 400).jpeg().toBuffer()).subarray(0, 1_000), message: /cut off or damaged/ },
    { what: "a PNG that is cut off", make: async () => (await source().png({ compressionLevel: 0 }).toBuffer()).subarray(0, 900), message: /cut off or damaged/ },
    { what: "a PNG that claims to be enormous", make: async () => enormous(await source().png().toBuffer()), message: /more than 64000000/ },
    { what: "a bitmap that is cut off", make: () => bitmapHeader(24, 9, 9), message: /cut off/ },
    { what: "a bitmap that claims to be enormous", make: () => bitmapHeader(24, 60_000, 60_000), message: /more than 64000000/ },
  ];
  for (const { what, make, message } of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(decoder.tensor(await make(), SPEC), because("IMAGE_INVALID", message));
    });
  }

  it("shrinks a large picture where only so much is needed", async () => {
    const { picture, width, height, format } = await decoder.picture(await source().resize(600, 400).png().toBuffer(), 300);

    assert.deepEqual([picture.width, picture.height, picture.rgb.length, width, height, format], [300, 200, 180_000, 600, 400, "png"]);
  });

  it("cuts lines out of a picture as their corners stand", async () => {
    const { picture } = await decoder.picture(await source().png().toBuffer(), 300);
    const spec = { height: 4, widthMax: 64, colors: "rgb", layout: "nhwc", datatype: "UINT8", scale: 1, mean: [0], std: [1], resample: "bilinear" } as const;
    const all = [{ x: 0, y: 0 }, { x: 24, y: 0 }, { x: 24, y: 8 }, { x: 0, y: 8 }] as const;
    const [upright, around] = await decoder.lines(picture, [all, [all[2], all[3], all[0], all[1]]], spec);

    assert.deepEqual(upright?.shape, [4, 12, 3]);
    assert.deepEqual([...(upright?.data.subarray(0, 3) ?? [])], [250, 130, 10]);
    assert.deepEqual([...(around?.data.subarray(0, 3) ?? [])], [10, 40, 240]);
    const [wide] = await decoder.lines(picture, [all], { ...spec, width: 20 });
    assert.deepEqual([wide?.shape, [...(wide?.data.subarray(19 * 3, 20 * 3) ?? [])]], [[4, 20, 3], [0, 0, 0]]);
  });
});

describe("the process that decodes", { timeout: 60_000 }, () => {
  const worker = fileURLToPath(new URL("./support/hostile-worker.ts", import.meta.url));
  const ask = (hostile: ReturnType<typeof createImageDecoder>, order: string, signal?: AbortSignal) => hostile.tensor(Buffer.from(order), SPEC, signal);

  it("fails the picture that ended it, and no other", async () => {
    const crashes: string[] = [];
    await using hostile = createImageDecoder({ worker, onCrash: (how) => crashes.push(how) });

    const answers = await Promise.allSettled([ask(hostile, "a"), ask(hostile, "c"), ask(hostile, "a"), ask(hostile, "c"), ask(hostile, "a")]);

    assert.deepEqual(answers.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled", "rejected", "fulfilled"]);
    assert.ok(because("IMAGE_INVALID", /ended the process/)((answers[1] as PromiseRejectedResult).reason));
    assert.deepEqual(crashes, ["SIGSEGV", "SIGSEGV"]);
  });

  it("is ended when a picture takes too long", async () => {
    await using hostile = createImageDecoder({ worker, jobMsMax: 300 });

    await assert.rejects(ask(hostile, "hang"), because("IMAGE_INVALID", /longer than 300 ms/));
    assert.equal((await ask(hostile, "a")).shape.length, 1);
  });

  it("is ended when a picture takes too much memory", { skip: process.platform === "linux" ? false : "only Linux tells a process's memory" }, async () => {
    await using hostile = createImageDecoder({ worker, memoryBytesMax: 200 * 1024 ** 2 });

    await assert.rejects(ask(hostile, "m"), because("IMAGE_INVALID", /memory/));
  });

  it("ends when it has had nothing to do, and comes back", async () => {
    await using hostile = createImageDecoder({ worker, idleMsMax: 1 });
    await ask(hostile, "a");
    const first = hostile.pid;
    // Holds the loop open while the child, which holds nothing, goes.
    while (hostile.pid !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));

    await ask(hostile, "a");

    assert.notEqual(hostile.pid, first);
  });

  it("answers callers that go away at once and refuses what does not fit its queue", async () => {
    await using hostile = createImageDecoder({ worker, queuedMax: 1, jobMsMax: 2_000 });
    const running = ask(hostile, "hang");
    const gone = new AbortController();
    const waiting = ask(hostile, "a", gone.signal);

    await assert.rejects(ask(hostile, "a"), because("QUEUE_FULL", /1 pictures wait/));
    gone.abort();

    await assert.rejects(waiting, because("CANCELLED", /cancelled/));
    await assert.rejects(running, because("IMAGE_INVALID", /longer/));
  });

  it("says so when it cannot start, and why in the log", async () => {
    const crashes: string[] = [];
    await using broken = createImageDecoder({ worker: fileURLToPath(new URL("./support/broken-worker.ts", import.meta.url)), onCrash: (how) => crashes.push(how) });

    await assert.rejects(ask(broken, "a"), because("INTERNAL", /does not start/));
    assert.match(crashes[0] ?? "", /before it was ready: .*no decoder here/s);
  });

  it("takes files up to a size", async () => {
    await using small = createImageDecoder({ worker, fileBytesMax: 3 });

    await assert.rejects(ask(small, "aaaa"), because("IMAGE_INVALID", /4 bytes, more than 3/));
  });
});

/** A bitmap's header without pixels. */
function bitmapHeader(bits: number, width: number, height: number): Buffer {
  const header = Buffer.alloc(54);
  header.write("BM");
  header.writeUInt32LE(54, 10);
  header.writeUInt32LE(40, 14);
  header.writeInt32LE(width, 18);
  header.writeInt32LE(height, 22);
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(bits, 28);
  return header;
}

/** The same PNG with other numbers in its header; readers that trust them would allocate gigabytes. */
function enormous(png: Buffer): Buffer {
  const copy = Buffer.from(png);
  copy.writeUInt32BE(30_000, 16);
  copy.writeUInt32BE(30_000, 20);
  return copy;
}
