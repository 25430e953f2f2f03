#!/usr/bin/env python3
"""Serves the credentials endpoints of ECS and EKS and the metadata service of EC2 at their own addresses:

    aws_platform.py LOG READY

Run it as root in a network namespace that has these addresses. Each request is one line of LOG. The file READY is
created when all addresses are served. Each answer takes DELAY seconds, if that variable is set.
"""
import datetime, http.server, json, os, socket, sys, threading, time

log, ready = sys.argv[1:]
lock = threading.Lock()
ROLES = "/latest/meta-data/iam/security-credentials/"


def credentials(key):
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": "s", "Token": "t",
                       "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"), "LastUpdated": "2026-01-01T00:00:00Z"})


def ecs(method, path, headers):
    return 200 if path == "/v2/credentials/task?x=1" else 404, credentials("ASIAECS")


def eks(method, path, headers):
    is_valid = path == "/v1/credentials" and headers.get("Authorization") == "jwt-of-the-pod"
    return 200 if is_valid else 401, credentials("ASIAEKS")


def ec2(method, path, headers):
    if (method, path) == ("PUT", "/latest/api/token"):
        return 200 if headers.get("X-aws-ec2-metadata-token-ttl-seconds") else 400, "session-of-imds"
    if headers.get("X-aws-ec2-metadata-token") != "session-of-imds":
        return 401, "IMDSv2 only"
    pages = {ROLES: "lab", ROLES + "lab": credentials("ASIAEC2")}
    return (200, pages[path]) if path in pages else (404, "")


def serve(address, answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self):
            time.sleep(float(os.environ.get("DELAY", 0)))
            status, text = answer(self.command, self.path, self.headers)
            with lock, open(log, "a") as file:
                file.write(f"{address} {self.command} {self.path} {status}\n")
            body = text.encode() if status == 200 else b""
            self.send_response(status)
            self.send_header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = reply
        log_message = lambda self, *args: None

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    threading.Thread(target=Server((address, 80), Handler).serve_forever).start()


serve("169.254.170.2", ecs)
serve("169.254.170.23", eks)
serve("fd00:ec2::23", eks)
serve("169.254.169.254", ec2)
serve("fd00:ec2::254", ec2)
open(ready, "w").close()
