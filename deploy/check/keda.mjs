// Holds the documents of KEDA on standard input, a list as JSON, against its schema.
import { readFileSync } from "node:fs";
import * as keda from "@kubernetes-models/keda/keda.sh/v1alpha1";

for (const document of JSON.parse(readFileSync(0, "utf8"))) {
  const made = new keda[document.kind](document);
  try {
    made.validate();
  } catch (error) {
    console.error(`${document.kind} ${document.metadata.name}: ${error.message}`);
    process.exitCode = 1;
  }
}
