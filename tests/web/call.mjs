// Calls a callable function as an app does, signed in, with the Firebase JS SDK; `make cloud-demo` runs it.
// Standard input: {project, region, functions: "host:port", auth: "http://host:port", token, name, data}, where `auth`
// speaks as the Auth emulator does. Standard output: what the function answered.

import { readFileSync } from 'node:fs';
import { initializeApp } from 'firebase/app';
import { connectAuthEmulator, inMemoryPersistence, initializeAuth, signInWithCustomToken } from 'firebase/auth';
import { connectFunctionsEmulator, getFunctions, httpsCallable } from 'firebase/functions';

const asked = JSON.parse(readFileSync(0, 'utf8'));
const app = initializeApp({ projectId: asked.project, apiKey: 'none-is-needed-by-an-emulator' });

const auth = initializeAuth(app, { persistence: inMemoryPersistence });
connectAuthEmulator(auth, asked.auth, { disableWarnings: true });
await signInWithCustomToken(auth, asked.token);

const functions = getFunctions(app, asked.region);
const [host, port] = asked.functions.split(':');
connectFunctionsEmulator(functions, host, Number(port));
const answer = await httpsCallable(functions, asked.name)(asked.data);

process.stdout.write(`${JSON.stringify(answer.data)}\n`, () => process.exit(0));
