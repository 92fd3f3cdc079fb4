// The whole of what an app's page does with Longreel: sign in, call createJob, listen to the job and to its segments.
// Every snapshot and every refusal is kept in `longreel.events` with the moment at which the page had it, for the tests.
// The address says where everything is: ?project=…&firestore=host:port&functions=host:port&region=…&token=…
//
// In production the connect…Emulator calls fall away, and the user signs in with one of Firebase's providers instead of
// with a token from the address.

import { initializeApp } from 'firebase/app';
import { connectAuthEmulator, inMemoryPersistence, initializeAuth, signInWithCustomToken } from 'firebase/auth';
import { collection, connectFirestoreEmulator, doc, getFirestore, onSnapshot, query, where } from 'firebase/firestore';
import { connectFunctionsEmulator, getFunctions, httpsCallable } from 'firebase/functions';

const asked = new URLSearchParams(location.search);
const app = initializeApp({ projectId: asked.get('project'), apiKey: 'none-is-needed-by-an-emulator' });

const auth = initializeAuth(app, { persistence: inMemoryPersistence });
connectAuthEmulator(auth, location.origin, { disableWarnings: true });

const db = getFirestore(app);
connectFirestoreEmulator(db, ...hostAndPort(asked.get('firestore')));

const functions = getFunctions(app, asked.get('region'));
if (asked.has('functions')) connectFunctionsEmulator(functions, ...hostAndPort(asked.get('functions')));

const events = [];
let stops = [];
let segmentCount = 0;
let segmentStates = new Map();

/** Call a callable function; what it refuses is thrown as {code, message, details}. */
async function call(name, data) {
  return (await httpsCallable(functions, name)(data)).data;
}

/** Listen to a job and to its segments; an earlier job is listened to no more. */
function listen(jobId) {
  stop();
  show('job', jobId);
  const job = doc(db, 'videoJobs', jobId);
  // Without this condition the rules refuse the query: it must say itself that it asks for the user's own.
  const segments = query(collection(job, 'segments'), where('userId', '==', auth.currentUser?.uid ?? ''));
  stops = [
    onSnapshot(job, (found) => {
      keep({ kind: 'job', jobId, exists: found.exists(), data: found.data() ?? null });
      if (found.exists()) showJob(found.data());
    }, refused('job', jobId)),
    onSnapshot(segments, (found) => {
      // The ids are numbers, which Firestore sorts as texts: 10 before 2.
      const sorted = found.docs.toSorted((a, b) => Number(a.id) - Number(b.id));
      keep({ kind: 'segments', jobId, data: Object.fromEntries(sorted.map((each) => [each.id, each.data()])) });
      segmentStates = new Map(sorted.map((each) => [Number(each.id), each.get('state')]));
      showSegments();
    }, refused('segments', jobId)),
  ];
}

function stop() {
  stops.forEach((each) => each());
  stops = [];
  segmentCount = 0;
  segmentStates = new Map();
}

function refused(what, jobId) {
  return (error) => {
    keep({ kind: 'error', on: what, jobId, code: error.code, message: error.message });
    show('error', `The ${what} may not be read: ${error.code}`);
  };
}

function keep(event) {
  // The moment first: what follows takes time of its own. As JSON, because what is kept must not change.
  const at = performance.timeOrigin + performance.now();
  events.push({ at, ...JSON.parse(JSON.stringify(event)) });
  show('updates', `${events.length} updates`);
}

function showJob(job) {
  document.getElementById('view').hidden = false;
  show('state', job.state).className = job.state;
  show('message', job.message);
  show('percent', `${job.progress ?? 0} %`);
  document.getElementById('progress').value = job.progress ?? 0;
  show('film', job.film?.uri);
  show('error', job.error?.message);
  fill('warnings', (job.warnings ?? []).map((text) => element('li', text)));
  segmentCount = job.segmentCount;
  showSegments();
}

function showSegments() {
  fill('segments', Array.from({ length: segmentCount }, (_, index) => {
    // A segment has no document before something has happened to it.
    const state = segmentStates.get(index) ?? 'pending';
    const item = element('li', state);
    item.className = `segment ${state}`;
    item.prepend(element('b', `Segment ${index + 1}`));
    return item;
  }));
}

function show(id, text) {
  const found = document.getElementById(id);
  found.textContent = text ?? '';
  if (id === 'error') found.hidden = !text;
  return found;
}

function fill(id, elements) {
  document.getElementById(id).replaceChildren(...elements);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function hostAndPort(text) {
  const [host, port] = text.split(':');
  return [host, Number(port)];
}

async function signIn() {
  if (asked.has('token')) await signInWithCustomToken(auth, asked.get('token'));
  show('user', auth.currentUser ? `signed in as ${auth.currentUser.uid}` : 'not signed in');
}

window.longreel = { call, createJob: (data) => call('createJob', data), events, listen, ready: signIn(), stop };
