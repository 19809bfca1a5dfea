// WAV files, as recorders, phones and editors write them. Source: Microsoft/IBM, Multimedia Programming Interface and Data
// Specifications 1.0 (1991), "Waveform Audio File Format"; WAVEFORMATEXTENSIBLE; ITU-T G.711 for A-law and µ-law.

import { StatusError } from "@servable/errors";

/** A sound file whose samples are read when they are asked for. */
export interface WavAudio {
  readonly sampleRate: number;
  readonly channelCount: number;
  /** Samples of one channel. */
  readonly frameCount: number;
  /** The mean of all channels at a frame, −1 to 1. */
  mono(frame: number): number;
}

const [PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE] = [1, 3, 6, 7, 0xfffe];
const CHANNELS_MAX = 16;
const SAMPLE_RATE_MAX = 192_000;
/** Programs that write to a pipe do not know the length and state one that is not meant. */
const UNKNOWN_BYTES_MIN = 0x7fff0000;

/** Opens a file of 8, 16, 24 or 32 bit PCM, 32 or 64 bit float, A-law or µ-law. @throws StatusError `AUDIO_INVALID` */
export function openWav(bytes: Uint8Array): WavAudio {
  const file = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || tagAt(file, 0) !== "RIFF" || tagAt(file, 8) !== "WAVE") {
    throw invalid(bytes.length === 0 ? "it is empty: send the bytes of a WAV file" : "it is no WAV file (RIFF/WAVE): convert it, e.g. with `ffmpeg -i in.mp3 out.wav`");
  }
  let format: Format | undefined;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const tag = tagAt(file, at);
    const size = file.getUint32(at + 4, true);
    const begin = at + 8;
    if (tag === "fmt ") format = readFormat(file, begin, size);
    if (tag === "data") {
      if (format === undefined) throw invalid("its samples come before their format");
      return openSamples(file, begin, size, format);
    }
    at = begin + size + (size % 2);
  }
  throw invalid(format === undefined ? "it has no format chunk" : "it has no samples: it may be cut off");
}

interface Format {
  readonly channelCount: number;
  readonly sampleRate: number;
  readonly sampleBytes: number;
  readonly read: (file: DataView, at: number) => number;
}

function readFormat(file: DataView, at: number, size: number): Format {
  if (size < 16 || at + Math.min(size, 40) > file.byteLength) throw invalid("its format chunk is cut off");
  const stated = file.getUint16(at, true);
  const channelCount = file.getUint16(at + 2, true);
  const sampleRate = file.getUint32(at + 4, true);
  const frameBytes = file.getUint16(at + 12, true);
  const bits = file.getUint16(at + 14, true);
  // The extensible form names the real one in the first two bytes of a GUID.
  const code = stated === EXTENSIBLE && size >= 40 ? file.getUint16(at + 24, true) : stated;
  if (channelCount === 0 || channelCount > CHANNELS_MAX) throw invalid(`it claims ${channelCount} channels, from 1 to ${CHANNELS_MAX} are taken`);
  if (sampleRate === 0 || sampleRate > SAMPLE_RATE_MAX) throw invalid(`it claims ${sampleRate} samples a second, up to ${SAMPLE_RATE_MAX} are taken`);
  const sampleBytes = Math.ceil(bits / 8);
  const read = READERS[`${code}/${sampleBytes}`];
  if (read === undefined) throw invalid(`its encoding ${code} of ${bits} bits is not read: send PCM of 8, 16, 24 or 32 bits, float, A-law or µ-law`);
  if (frameBytes !== sampleBytes * channelCount) throw invalid(`its format chunk contradicts itself: ${channelCount} channels of ${bits} bits are not ${frameBytes} bytes`);
  return { channelCount, sampleRate, sampleBytes, read };
}

const READERS: Readonly<Record<string, Format["read"]>> = {
  [`${PCM}/1`]: (file, at) => (file.getUint8(at) - 128) / 128,
  [`${PCM}/2`]: (file, at) => file.getInt16(at, true) / 2 ** 15,
  [`${PCM}/3`]: (file, at) => (file.getUint16(at, true) | (file.getInt8(at + 2) << 16)) / 2 ** 23,
  [`${PCM}/4`]: (file, at) => file.getInt32(at, true) / 2 ** 31,
  [`${FLOAT}/4`]: (file, at) => finite(file.getFloat32(at, true)),
  [`${FLOAT}/8`]: (file, at) => finite(file.getFloat64(at, true)),
  [`${A_LAW}/1`]: (file, at) => aLaw(file.getUint8(at)),
  [`${MU_LAW}/1`]: (file, at) => muLaw(file.getUint8(at)),
};

function openSamples(file: DataView, begin: number, stated: number, { channelCount, sampleRate, sampleBytes, read }: Format): WavAudio {
  const there = file.byteLength - begin;
  const unknown = stated === 0 || stated >= UNKNOWN_BYTES_MIN;
  if (!unknown && stated > there) throw invalid(`it is cut off: ${stated} bytes of samples are stated, ${there} are there`);
  const frameBytes = sampleBytes * channelCount;
  const frameCount = Math.floor((unknown ? there : stated) / frameBytes);
  return {
    sampleRate,
    channelCount,
    frameCount,
    mono(frame) {
      let sum = 0;
      for (let channel = 0, at = begin + frame * frameBytes; channel < channelCount; channel++, at += sampleBytes) sum += read(file, at);
      return sum / channelCount;
    },
  };
}

/** Not-a-number and infinities would poison every window behind them. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function aLaw(byte: number): number {
  const code = byte ^ 0x55;
  const exponent = (code >> 4) & 7;
  const mantissa = ((code & 15) << 4) + 8;
  const magnitude = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1);
  return ((code & 0x80) === 0 ? -magnitude : magnitude) / 2 ** 15;
}

function muLaw(byte: number): number {
  const code = ~byte & 0xff;
  const magnitude = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
  return ((code & 0x80) === 0 ? magnitude : -magnitude) / 2 ** 15;
}

function tagAt(file: DataView, at: number): string {
  return String.fromCharCode(file.getUint8(at), file.getUint8(at + 1), file.getUint8(at + 2), file.getUint8(at + 3));
}

function invalid(what: string): StatusError {
  return new StatusError("AUDIO_INVALID", `the audio cannot be read: ${what}`);
}
