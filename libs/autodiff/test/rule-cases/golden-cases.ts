import { readFileSync } from "node:fs";
import { tensorOf, type Datatype } from "@servable/tensor";
import type { Attribute } from "@servable/onnx";
import type { RuleCase } from "./rule-case.ts";

interface GoldenOperand {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly values: readonly number[];
  /** Whether it gets a gradient. */
  readonly input: boolean;
}

interface Golden {
  readonly op: string;
  readonly about?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly opset?: number;
  readonly operands: readonly (GoldenOperand | null)[];
  readonly outputCount?: number;
  readonly lossOutputs?: number;
  /** Finite differences mean nothing here: a tie, or a step. */
  readonly kink?: true;
  readonly fixedSizes?: true;
  readonly outputs: readonly (readonly number[])[];
  readonly gradients: readonly (readonly number[])[];
}

/** What PyTorch computed: goldens/rules.py wrote the file. */
export function goldenCases(): RuleCase[] {
  const goldens = JSON.parse(readFileSync(new URL("../goldens/rules.json", import.meta.url), "utf8")) as readonly Golden[];
  return goldens.map(({ op, about, attributes, opset, operands, outputCount, lossOutputs, kink, fixedSizes, outputs, gradients }) => ({
    op,
    about: about === undefined ? "golden" : `${about}, golden`,
    operands: operands.map((operand) => (operand === null ? undefined : operand.input ? operand.shape : tensorOf(operand.datatype, operand.shape, operand.values.map((value) => (operand.datatype === "INT64" ? BigInt(value) : operand.datatype === "BOOL" ? value !== 0 : value)) as number[]))),
    values: operands.flatMap((operand) => (operand?.input === true ? [operand.values] : [])),
    expected: gradients,
    expectedOutputs: outputs,
    ...(attributes === undefined ? {} : { attributes }),
    ...(opset === undefined ? {} : { opset }),
    ...(outputCount === undefined ? {} : { outputCount }),
    ...(lossOutputs === undefined ? {} : { lossOutputs }),
    ...(kink === true ? { instead: "through" as const } : {}),
    ...(fixedSizes === true ? { fixedSizes: true as const } : {}),
  }));
}
