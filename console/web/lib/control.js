// Requests that change something. They have the console's token, which is that of its process.

import { get } from "./api.js";

// control returns whether the pages may change something: {allowed, reason}.
export const control = (signal) => get("/-/control", signal);

// change sends a request with a JSON body, and returns the JSON of the response.
export async function change(method, path, body, signal) {
  const { allowed, reason, token } = await control(signal); // after a restart of the console it is another one
  if (!allowed) throw new Error(reason);
  return get(path, signal, method, { body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Soundcheck-Token": token } });
}
