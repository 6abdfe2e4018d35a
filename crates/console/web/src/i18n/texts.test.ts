import { expect, it } from "vitest";
import { translateCode } from ".";
import { en } from "./en";
import { vi } from "./vi";

const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

it("both languages say everything, with the same figures in it", () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(vi).sort());
  for (const key of Object.keys(vi) as (keyof typeof vi)[]) {
    expect(names(en[key]), key).toEqual(names(vi[key]));
    expect(vi[key].trim(), key).not.toBe("");
  }
});

it("a code of a newer server is shown as it is", () => {
  expect(translateCode("vi", "kind", "overspeed")).toBe(vi["kind.overspeed"]);
  expect(translateCode("vi", "kind", "flying")).toBe("flying");
});
