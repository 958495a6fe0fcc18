// An OpenID Connect provider as its makers ship it, on a free port of loopback, behind what stands for a TLS terminator. Prints
// {"ready": "127.0.0.1:PORT"}. Access tokens are those of RFC 9068, bound to a key where the client proves one (RFC 9449).
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [issuer, audience, secret] = process.argv.slice(2);

function key(kid, alg, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
}

const provider = new Provider(issuer, {
  jwks: {
    keys: [key("ec", "ES256", "ec", { namedCurve: "P-256" }), key("rsa", "RS256", "rsa", { modulusLength: 2048 })],
  },
  clients: [
    {
      client_id: "search-ui",
      client_secret: secret,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: "client_secret_post",
    },
  ],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "https://gateway.example",
      getResourceServerInfo: () => ({
        scope: "rerank",
        audience,
        accessTokenTTL: 600,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
      useGrantedResource: () => true,
    },
  },
  extraTokenClaims: () => ({ groups: ["grp-search"] }),
});
provider.proxy = true;
const handle = provider.callback();
const server = createServer((request, response) => {
  request.headers["x-forwarded-proto"] = "https";
  handle(request, response);
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ ready: `127.0.0.1:${server.address().port}` })));
