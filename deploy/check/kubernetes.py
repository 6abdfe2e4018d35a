"""Holds manifests against Kubernetes' own schemas, where unknown fields are an error; documents of
other makers go to standard output, as a list in JSON, for their own schema."""

import json
import sys

import kubernetes_validate
import yaml

version, failed, others = sys.argv[1], False, []
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        documents = [d for d in yaml.safe_load_all(file) if d]
    for document in documents:
        name = f"{path}: {document['kind']} {document['metadata']['name']}"
        if document["apiVersion"].startswith("keda.sh/"):
            others.append(document)
            continue
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            where = ".".join(str(part) for part in error.path)
            print(f"{name}, {where}: {error.message}", file=sys.stderr)
            failed = True
        except kubernetes_validate.SchemaNotFoundError as error:
            print(f"{name}: {error.message}", file=sys.stderr)
            failed = True
json.dump(others, sys.stdout)
sys.exit(failed)
