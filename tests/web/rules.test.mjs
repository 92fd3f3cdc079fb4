// Who may do what, asked through the Firebase JS SDK as an app does it; tests/cloud/test_rules_rest.py asks far more.
// Run by tests/web/test_rules_sdk.py, which starts the emulator, writes the documents and releases the rules; it says
// where they are in FIRESTORE_EMULATOR_HOST and GOOGLE_CLOUD_PROJECT.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { deleteApp, initializeApp } from 'firebase/app';
import {
  addDoc, collection, collectionGroup, connectFirestoreEmulator, deleteDoc, doc, getCountFromServer, getDocFromServer,
  getDocsFromServer, initializeFirestore, onSnapshot, query, setDoc, setLogLevel, terminate, updateDoc, where, writeBatch,
} from 'firebase/firestore';

const [host, port] = process.env.FIRESTORE_EMULATOR_HOST.split(':');
const OWNER = 'alice';
const JOB = ['videoJobs', 'job_abc123'];
setLogLevel('silent'); // every refusal is a warning otherwise

const apps = [];

/** Give Firestore as a user sees it; uid null is somebody who is not signed in. */
function firestoreOf(uid) {
  const app = initializeApp({ projectId: process.env.GOOGLE_CLOUD_PROJECT, apiKey: 'none' }, uid ?? 'nobody');
  const db = initializeFirestore(app, {});
  connectFirestoreEmulator(db, host, Number(port), uid ? { mockUserToken: { sub: uid, user_id: uid } } : {});
  apps.push({ app, db });
  return db;
}

/** Wait for a listener's first answer. */
function firstSnapshot(target) {
  return new Promise((resolve, reject) => {
    const stop = onSnapshot(target, (snapshot) => { stop(); resolve(snapshot); }, reject);
  });
}

const own = (db, uid, ...path) => query(collection(db, ...path), where('userId', '==', uid ?? OWNER));

// What is asked → who may.
const READS = {
  'get the job': [[OWNER], (db) => getDocFromServer(doc(db, ...JOB))],
  'listen to the job': [[OWNER], (db) => firstSnapshot(doc(db, ...JOB))],
  'get a segment': [[OWNER], (db) => getDocFromServer(doc(db, ...JOB, 'segments', '0'))],
  'get the prompts': [[OWNER], (db) => getDocFromServer(doc(db, ...JOB, 'scripts', '0'))],
  'get a checkpoint': [[OWNER], (db) => getDocFromServer(doc(db, ...JOB, 'checkpoints', 'plan'))],
  'get the user': [[OWNER], (db) => getDocFromServer(doc(db, 'users', OWNER))],
  'get a lock': [[], (db) => getDocFromServer(doc(db, 'locks', 'lock'))],
  'get a job that is not there': [[], (db) => getDocFromServer(doc(db, 'videoJobs', 'job_nothere'))],
  'list own jobs': [[OWNER, 'bob'], (db, uid) => getDocsFromServer(own(db, uid, 'videoJobs'))],
  'count own jobs': [[OWNER, 'bob'], (db, uid) => getCountFromServer(own(db, uid, 'videoJobs'))],
  'listen to the segments': [[OWNER, 'bob'], (db, uid) => firstSnapshot(own(db, uid, ...JOB, 'segments'))],
  "listen to the owner's segments": [[OWNER], (db) => firstSnapshot(own(db, OWNER, ...JOB, 'segments'))],
  'list all jobs': [[], (db) => getDocsFromServer(collection(db, 'videoJobs'))],
  'list all segments of the job': [[], (db) => getDocsFromServer(collection(db, ...JOB, 'segments'))],
  'list the segments of all own jobs': [
    [], (db, uid) => getDocsFromServer(query(collectionGroup(db, 'segments'), where('userId', '==', uid ?? OWNER)))],
};

const WRITES = {
  'make a job': (db, uid) => addDoc(collection(db, 'videoJobs'), { userId: uid }),
  'overwrite the job': (db, uid) => setDoc(doc(db, ...JOB), { userId: uid }),
  'change the job': (db) => updateDoc(doc(db, ...JOB), { state: 'completed' }),
  'delete the job': (db) => deleteDoc(doc(db, ...JOB)),
  'change a segment': (db) => updateDoc(doc(db, ...JOB, 'segments', '0'), { state: 'done' }),
  'raise the own quota': (db, uid) => setDoc(doc(db, 'users', uid ?? 'nobody', 'quotas', 'veo'), { left: 1000 }),
  'free the lock': (db) => deleteDoc(doc(db, 'locks', 'lock')),
  'write a batch': (db, uid) => writeBatch(db).set(doc(db, 'videoJobs', 'job_new123'), { userId: uid }).commit(),
};

for (const [who, uid] of [['the owner', OWNER], ['a stranger', 'bob'], ['nobody', null]]) {
  describe(who, () => {
    const db = firestoreOf(uid);
    for (const [what, [may, ask]] of Object.entries(READS)) {
      test(`${may.includes(uid) ? 'may' : 'may not'} ${what}`, async () => {
        if (may.includes(uid)) await ask(db, uid);
        else await assert.rejects(ask(db, uid), { code: 'permission-denied' });
      });
    }
    for (const [what, ask] of Object.entries(WRITES)) {
      test(`may not ${what}`, async () => {
        await assert.rejects(ask(db, uid), { code: 'permission-denied' });
      });
    }
  });
}

test('the owner finds the segment, a stranger who asks for own finds none', async () => {
  const found = async (uid) => {
    const { db } = apps.find(({ app }) => app.name === uid);
    return (await getDocsFromServer(own(db, uid, ...JOB, 'segments'))).docs.map((each) => each.id);
  };
  assert.deepEqual(await found(OWNER), ['0']);
  assert.deepEqual(await found('bob'), []);
});

after(async () => {
  for (const { app, db } of apps) {
    await terminate(db);
    await deleteApp(app);
  }
});
