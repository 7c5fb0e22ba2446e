#!/usr/bin/env bash
# One message, with curl alone: ask.sh "a message". Prints the turn's result as JSON.
set -euo pipefail
api="${TURNPIKE_GATEWAY_URL:-http://127.0.0.1:8787}/api/v1"

post() { curl --silent --show-error --fail-with-body --header @- --json "$2" "$api$1" <<<"Authorization: Bearer $TURNPIKE_TOKEN"; }
# As a JSON string, whatever the message holds.
quoted() { node -p 'JSON.stringify(process.argv[1])' -- "$1"; }

session=$(post /sessions '{}' | grep -o 'session_[0-9A-Z]\{26\}' | head -n 1)
post "/sessions/$session/turns?wait=true" "{\"user_input\": $(quoted "$1")}"
