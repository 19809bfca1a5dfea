import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { openWav, resampled } from "../src/index.ts";

const RATE = 16_000;

/** A WAV file of frames that hold one sample for each channel. */
function wav({ code = 1, bits = 16, rate = RATE, channels = 1, samples, extra = Buffer.alloc(0), dataBytes, extensible = false }: { code?: number; bits?: number; rate?: number; channels?: number; samples: Buffer; extra?: Buffer; dataBytes?: number; extensible?: boolean }): Buffer {
  const format = Buffer.alloc(extensible ? 40 : 16);
  format.writeUInt16LE(extensible ? 0xfffe : code, 0);
  format.writeUInt16LE(channels, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE((rate * channels * bits) / 8, 8);
  format.writeUInt16LE((channels * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  if (extensible) format.writeUInt16LE(code, 24);
  const chunk = (tag: string, body: Buffer, size = body.length): Buffer => {
    const head = Buffer.alloc(8);
    head.write(tag);
    head.writeUInt32LE(size, 4);
    return Buffer.concat([head, body, Buffer.alloc(body.length % 2)]);
  };
  return Buffer.concat([chunk("RIFF", Buffer.from("WAVE")), chunk("fmt ", format), extra, chunk("data", samples, dataBytes ?? samples.length)]);
}

const of = (bytes: number, values: number[], write: (buffer: Buffer, value: number, at: number) => void): Buffer => {
  const buffer = Buffer.alloc(values.length * bytes);
  values.forEach((value, index) => write(buffer, value, index * bytes));
  return buffer;
};

describe("WAV files", () => {
  const half = [0.5, -0.5, 0];
  const cases = [
    { what: "8 bits", file: wav({ bits: 8, samples: Buffer.from([192, 64, 128]) }) },
    { what: "16 bits", file: wav({ samples: of(2, half, (buffer, value, at) => buffer.writeInt16LE(value * 2 ** 15, at)) }) },
    { what: "24 bits", file: wav({ bits: 24, samples: of(3, half, (buffer, value, at) => buffer.writeIntLE(value * 2 ** 23, at, 3)) }) },
    { what: "32 bits", file: wav({ bits: 32, samples: of(4, half, (buffer, value, at) => buffer.writeInt32LE(value * 2 ** 31, at)) }) },
    { what: "float", file: wav({ code: 3, bits: 32, samples: of(4, half, (buffer, value, at) => buffer.writeFloatLE(value, at)) }) },
    { what: "double", file: wav({ code: 3, bits: 64, samples: of(8, half, (buffer, value, at) => buffer.writeDoubleLE(value, at)) }) },
    { what: "the extensible form", file: wav({ extensible: true, samples: of(2, half, (buffer, value, at) => buffer.writeInt16LE(value * 2 ** 15, at)) }) },
    { what: "a chunk of notes before the samples", file: wav({ extra: Buffer.concat([Buffer.from("LIST\x03\0\0\0abc\0", "latin1")]), samples: of(2, half, (buffer, value, at) => buffer.writeInt16LE(value * 2 ** 15, at)) }) },
    { what: "a length that the writer did not know", file: wav({ dataBytes: 0xffffffff, samples: of(2, half, (buffer, value, at) => buffer.writeInt16LE(value * 2 ** 15, at)) }) },
  ];
  for (const { what, file } of cases) {
    it(`of ${what} are read`, () => {
      const audio = openWav(file);

      assert.deepEqual(Array.from({ length: audio.frameCount }, (_, frame) => audio.mono(frame)), half);
    });
  }

  it("of telephones are read, as G.711 has it", () => {
    const values = (code: number, bytes: number[]): number[] => bytes.map((_, frame) => openWav(wav({ code, bits: 8, samples: Buffer.from(bytes) })).mono(frame) * 2 ** 15);

    assert.deepEqual(values(7, [0xff, 0x80, 0x00, 0x7f]), [0, 32_124, -32_124, 0]);
    assert.deepEqual(values(6, [0xd5, 0x55, 0xaa, 0x2a]), [8, -8, 32_256, -32_256]);
  });

  it("of several channels become their mean", () => {
    const audio = openWav(wav({ channels: 2, samples: of(2, [0.5, -0.25, 0.5, 0.5], (buffer, value, at) => buffer.writeInt16LE(value * 2 ** 15, at)) }));

    assert.deepEqual([audio.frameCount, audio.mono(0), audio.mono(1)], [2, 0.125, 0.5]);
  });

  it("cannot poison a model with what is no number", () => {
    assert.equal(openWav(wav({ code: 3, bits: 32, samples: of(4, [NaN], (buffer, value, at) => buffer.writeFloatLE(value, at)) })).mono(0), 0);
  });

  const samples = Buffer.alloc(4);
  const wrong = [
    { what: "nothing", file: Buffer.alloc(0), message: /is empty/ },
    { what: "an MP3 file", file: Buffer.from("ID3\x03 and so on"), message: /no WAV file/ },
    { what: "fewer samples than stated", file: wav({ samples, dataBytes: 100 }), message: /cut off: 100 bytes/ },
    { what: "no samples", file: wav({ samples }).subarray(0, 30), message: /cut off/ },
    { what: "no channels", file: wav({ samples, channels: 0 }), message: /0 channels/ },
    { what: "a rate of nought", file: wav({ samples, rate: 0 }), message: /0 samples a second/ },
    { what: "an unknown encoding", file: wav({ samples, code: 2, bits: 4 }), message: /encoding 2 of 4 bits/ },
  ];
  for (const { what, file, message } of wrong) {
    it(`with ${what} are refused`, () => assert.throws(() => openWav(file), (error: unknown) => error instanceof StatusError && error.reason === "AUDIO_INVALID" && message.test(error.message)));
  }
});

describe("resampling of sound", () => {
  for (const rate of [8_000, 22_050, 44_100, 48_000]) {
    it(`keeps a tone of 1 kHz as it comes from ${rate} samples a second`, () => {
      const tone = of(4, Array.from({ length: rate / 4 }, (_, frame) => Math.sin((2 * Math.PI * 1_000 * frame) / rate) * 0.5), (buffer, value, at) => buffer.writeFloatLE(value, at));
      const samples = resampled(openWav(wav({ code: 3, bits: 32, rate, samples: tone })), RATE);
      const out = new Float32Array(1_000);

      samples.read(1_000, out);

      assert.equal(samples.count, Math.floor((Math.floor(rate / 4) * RATE) / rate));
      // The window's pass band ripples by less than a hundredth.
      out.forEach((value, index) => assert.ok(Math.abs(value - Math.sin((2 * Math.PI * 1_000 * (1_000 + index)) / RATE) * 0.5) < 0.01));
    });
  }

  it("removes what the lower rate cannot hold", () => {
    const tone = of(4, Array.from({ length: 12_000 }, (_, frame) => Math.sin((2 * Math.PI * 15_000 * frame) / 48_000)), (buffer, value, at) => buffer.writeFloatLE(value, at));
    const out = new Float32Array(500);

    resampled(openWav(wav({ code: 3, bits: 32, rate: 48_000, samples: tone })), RATE).read(1_000, out);

    assert.ok(out.every((value) => Math.abs(value) < 0.02));
  });
});
