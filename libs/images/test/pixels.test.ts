import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { decodeBitmap } from "../src/bmp.ts";
import { planResize, type Filter } from "../src/image-spec.ts";
import { resample } from "../src/resample.ts";
import { turnAround, turnLeft, warp } from "../src/warp.ts";

const goldens = JSON.parse(readFileSync(new URL("./resample-goldens.json", import.meta.url), "utf8")) as { cases: { filter: Filter; width: number; height: number; box: [number, number, number, number]; rgb: string }[] };

describe("resampling", () => {
  const [width, height] = [13, 9];
  const rgb = Uint8Array.from({ length: width * height * 3 }, (_, index) => {
    const [x, y, c] = [Math.floor(index / 3) % width, Math.floor(index / 3 / width), index % 3];
    return (x * 37 + y * 91 + c * 53 + x * y * 7) % 256;
  });
  for (const { filter, width: toWidth, height: toHeight, box: [left, top, right, bottom], rgb: want } of goldens.cases) {
    it(`is Pillow's ${filter} to the bit: ${right - left}×${bottom - top} to ${toWidth}×${toHeight}`, () => {
      const result = resample({ width, height, rgb }, { left, top, width: right - left, height: bottom - top }, toWidth, toHeight, filter);

      assert.equal(Buffer.from(result.rgb).toString("hex"), want);
    });
  }
});

describe("plans of resizing", () => {
  const cases = [
    { what: "cuts the middle square out", spec: { width: 224, height: 224, fit: "crop" }, want: { source: { left: 140, top: 0, width: 360, height: 360 }, width: 224, height: 224, left: 0, top: 0 } },
    { what: "scales the shorter side, then cuts", spec: { width: 224, height: 224, fit: "crop", shortSide: 256 }, want: { source: { left: 0, top: 0, width: 640, height: 360 }, width: 455, height: 256, left: -116, top: -16 } },
    { what: "stretches", spec: { width: 10, height: 20, fit: "stretch" }, want: { source: { left: 0, top: 0, width: 640, height: 360 }, width: 10, height: 20, left: 0, top: 0 } },
    { what: "fits all of it in", spec: { width: 320, height: 320, fit: "letterbox" }, want: { source: { left: 0, top: 0, width: 640, height: 360 }, width: 320, height: 180, left: 0, top: 70 } },
  ] as const;
  for (const { what, spec, want } of cases) {
    it(what, () => assert.deepEqual(planResize({ width: 640, height: 360 }, spec), want));
  }
});

describe("bitmaps", () => {
  /** A bitmap of 3×2 pixels. */
  const bitmap = ({ bits, compression = 0, palette = [], extra = [], rows, height = 2 }: { bits: number; compression?: number; palette?: number[]; extra?: number[]; rows: number[]; height?: number }): Uint8Array => {
    const header = Buffer.alloc(54);
    header.write("BM");
    header.writeUInt32LE(54 + extra.length + palette.length, 10);
    header.writeUInt32LE(40, 14);
    header.writeInt32LE(3, 18);
    header.writeInt32LE(height, 22);
    header.writeUInt16LE(bits, 28);
    header.writeUInt32LE(compression, 30);
    return Buffer.concat([header, Buffer.from(extra), Buffer.from(palette), Buffer.from(rows)]);
  };
  const [R, G, B, K] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0]];
  const want = [...(R), ...(G), ...(B), ...(K), ...(R), ...(G)];
  const palette = [0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0]; // black, red, green, blue
  const cases = [
    { what: "24 bits from the bottom", file: bitmap({ bits: 24, rows: [0, 0, 0, 0, 0, 255, 0, 255, 0, 9, 9, 9, 0, 0, 255, 0, 255, 0, 255, 0, 0, 9, 9, 9] }) },
    { what: "24 bits from the top", file: bitmap({ bits: 24, height: -2, rows: [0, 0, 255, 0, 255, 0, 255, 0, 0, 9, 9, 9, 0, 0, 0, 0, 0, 255, 0, 255, 0, 9, 9, 9] }) },
    { what: "32 bits, whose fourth byte is nothing", file: bitmap({ bits: 32, rows: [0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 255, 7, 0, 255, 0, 7, 255, 0, 0, 7] }) },
    { what: "16 bits, five a colour", file: bitmap({ bits: 16, rows: [0, 0, 0x00, 0x7c, 0xe0, 0x03, 9, 9, 0x00, 0x7c, 0xe0, 0x03, 0x1f, 0x00, 9, 9] }) },
    { what: "16 bits with masks", file: bitmap({ bits: 16, compression: 3, extra: [0x00, 0xf8, 0, 0, 0xe0, 0x07, 0, 0, 0x1f, 0, 0, 0], rows: [0, 0, 0x00, 0xf8, 0xe0, 0x07, 9, 9, 0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00, 9, 9] }) },
    { what: "8 bits with a palette", file: bitmap({ bits: 8, palette, rows: [0, 1, 2, 9, 1, 2, 3, 9] }) },
    { what: "4 bits with a palette", file: bitmap({ bits: 4, palette, rows: [0x01, 0x20, 0, 0, 0x12, 0x30, 0, 0] }) },
    { what: "runs of 8 bits", file: bitmap({ bits: 8, compression: 1, palette, rows: [1, 0, 1, 1, 1, 2, 0, 0, 0, 3, 1, 2, 3, 0, 0, 1] }) },
    { what: "runs of 4 bits", file: bitmap({ bits: 4, compression: 2, palette, rows: [3, 0x01, 0, 2, 0, 0, 0, 0, 0, 3, 0x12, 0x30, 0, 1] }) },
  ];
  for (const { what, file } of cases.filter((each) => each.what !== "runs of 4 bits")) {
    it(`of ${what} are read`, () => assert.deepEqual([...decodeBitmap(file).rgb], want));
  }

  it("of runs of 4 bits are read, two colours a run", () => {
    const file = bitmap({ bits: 4, compression: 2, palette, rows: [3, 0x01, 0, 0, 0, 3, 0x12, 0x30, 0, 1] });

    assert.deepEqual([...decodeBitmap(file).rgb], [...(R), ...(G), ...(B), ...(K), ...(R), ...(K)]);
  });

  const refused = [
    { what: "a header that is cut off", file: Buffer.from("BM1234"), message: /header/ },
    { what: "an unknown depth", file: bitmap({ bits: 7, rows: [] }), message: /7 bits/ },
    { what: "a colour beyond the palette", file: bitmap({ bits: 8, palette, rows: [9, 9, 9, 9, 9, 9, 9, 9] }), message: /colour 9/ },
    { what: "rows that are cut off", file: bitmap({ bits: 24, rows: [1, 2, 3] }), message: /cut off/ },
    { what: "a run that is cut off", file: bitmap({ bits: 8, compression: 1, palette, rows: [1] }), message: /middle of a run/ },
  ];
  for (const { what, file, message } of refused) {
    it(`with ${what} are refused`, () => assert.throws(() => decodeBitmap(file), (error: unknown) => error instanceof StatusError && error.reason === "IMAGE_INVALID" && message.test(error.message)));
  }
});

describe("turning and straightening", () => {
  const picture = { width: 2, height: 1, rgb: Uint8Array.of(1, 1, 1, 2, 2, 2) };

  it("turns left and around", () => {
    assert.deepEqual(turnLeft(picture), { width: 1, height: 2, rgb: Uint8Array.of(2, 2, 2, 1, 1, 1) });
    assert.deepEqual([...turnAround(picture).rgb], [2, 2, 2, 1, 1, 1]);
  });

  it("straightens a slanted part", () => {
    // A ramp along x + y is constant along the other diagonal, so a square turned by 45° sees it rise along one side only.
    const ramp = { width: 40, height: 40, rgb: Uint8Array.from({ length: 4800 }, (_, index) => (Math.floor(index / 3) % 40) * 3 + Math.floor(index / 120) * 3) };
    const { width, height, rgb } = warp(ramp, [{ x: 20, y: 10 }, { x: 30, y: 20 }, { x: 20, y: 30 }, { x: 10, y: 20 }]);

    assert.deepEqual([width, height], [14, 14]);
    for (let y = 1; y < height; y++) assert.ok(Math.abs((rgb[y * width * 3] ?? 0) - (rgb[0] ?? 0)) <= 1);
    assert.ok((rgb[(width - 1) * 3] ?? 0) > (rgb[0] ?? 0) + 30);
  });
});
