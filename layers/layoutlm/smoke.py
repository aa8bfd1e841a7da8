"""The proof of layoutlm: the newest run is found and loaded, a page classified, and the run's name left in the cache.

Runs with the dependencies and the function on the path, and the objects of the recipe's proof in an S3 on loopback.
"""

import json

import boto3
import handler

NEWEST = "2026-11-02"
KEY = f"runs/{NEWEST}/best/model.safetensors"

page = {"words": ["Invoice", "total"], "boxes": [[10, 10, 200, 40], [10, 60, 150, 90]]}
answers = [handler.lambda_handler(page, None) for _ in range(2)]
if answers[0] != answers[1]:
    raise SystemExit(f"two answers to one page: {answers}")
body = answers[0]["body"]
if body.get("label") != "invoice" or body.get("run") != NEWEST:
    raise SystemExit(f"not an invoice by the newest run: {answers[0]}")

s3 = boto3.client("s3")
stored = s3.head_object(Bucket="models", Key=KEY)
latest = json.loads(s3.get_object(Bucket="page-cache", Key="latest.json")["Body"].read())
expected = {"run": NEWEST, "key": KEY, "etag": stored["ETag"], "time": stored["LastModified"].isoformat()}
if latest != expected:
    raise SystemExit(f"latest.json is {latest}, not {expected}")
