// Hive's reporter: what its plugins for Yoga, Envelop and Apollo call when an operation has ended.
import { createHive } from "@graphql-hive/core";
import { parse } from "graphql";

export const awaited = false; // none of its plugins waits for it

export async function make({ schema, url, named, requests }) {
  const documents = new Map(requests.map(({ source }) => [source, parse(source)]));
  const hive = createHive({
    token: "bench",
    usage: true,
    selfHosting: { usageEndpoint: `${url}/usage`, graphqlEndpoint: url, applicationUrl: url },
    // Its plugins give a name, and with that a report holds 25 operations instead of 1,500 unless told otherwise.
    ...(named ? { agent: { name: "hive-client-yoga" } } : {}),
  });
  const result = { data: {} };
  const ended = ({ source, name, variables, client, version }) => ({
    schema,
    document: documents.get(source),
    operationName: name,
    variableValues: variables,
    contextValue: { headers: { "graphql-client-name": client, "graphql-client-version": version } },
  });
  return {
    record: (request) => void hive.collectUsage().finish(ended(request), result),
    empty: (request) => void ended(request),
    close: () => hive.dispose(),
  };
}
