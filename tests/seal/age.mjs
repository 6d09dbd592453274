// Another implementation of age, at the service of tests: bytes come on standard input and go to standard output.
//
//   encrypt RECIPIENT | encrypt-armored RECIPIENT | decrypt IDENTITY | decrypt-passphrase PASSPHRASE | vectors FOLDER
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { Decrypter, Encrypter, armor } from "age-encryption";
import * as published from "cctv-age";

const [command, argument] = process.argv.slice(1);
const input = () => new Uint8Array(readFileSync(0));
const output = (bytes) => {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
};

if (command === "encrypt" || command === "encrypt-armored") {
  const encrypter = new Encrypter();
  encrypter.addRecipient(argument);
  const sealed = await encrypter.encrypt(input());
  output(command === "encrypt" ? sealed : new TextEncoder().encode(armor.encode(sealed)));
} else if (command === "decrypt") {
  const decrypter = new Decrypter();
  decrypter.addIdentity(argument);
  output(await decrypter.decrypt(input()));
} else if (command === "decrypt-passphrase") {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(argument);
  output(await decrypter.decrypt(armor.decode(new TextDecoder().decode(input()))));
} else if (command === "vectors") {
  for (const [name, vector] of Object.entries(published.default ?? published)) {
    if (!name.includes("hybrid")) continue;
    const bytes = Buffer.from(vector);
    const end = bytes.indexOf("\n\n");
    const about = bytes.subarray(0, end).toString();
    const file = bytes.subarray(end + 2);
    writeFileSync(`${argument}/${name}.about`, about);
    writeFileSync(`${argument}/${name}.age`, about.includes("\ncompressed: zlib") ? inflateSync(file) : file);
  }
} else {
  throw new Error(`no command ${command}`);
}
