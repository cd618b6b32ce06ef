// What host.py does, over the C API: host GRAPH JOB RESULT. The graph's input must be strings.
#include <onnxruntime_c_api.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

static const OrtApi *api;

static void check(OrtStatus *status) {
  if (!status) return;
  std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  std::exit(1);
}

struct Reader {
  std::FILE *file;
  int32_t number() {
    int32_t found = 0;
    if (std::fread(&found, 4, 1, file) != 1) std::exit(2);
    return found;
  }
  std::string text() {
    std::string found(number(), '\0');
    if (std::fread(&found[0], 1, found.size(), file) != found.size()) std::exit(2);
    return found;
  }
};

struct Found {
  int32_t texts, length, dim;
  std::vector<int32_t> ids;
  std::vector<float> vectors;
};

static std::vector<int64_t> shape_of(const OrtValue *value) {
  OrtTensorTypeAndShapeInfo *info;
  size_t rank;
  check(api->GetTensorTypeAndShape(value, &info));
  check(api->GetDimensionsCount(info, &rank));
  std::vector<int64_t> shape(rank);
  check(api->GetDimensions(info, shape.data(), rank));
  api->ReleaseTensorTypeAndShapeInfo(info);
  return shape;
}

static Found run(OrtSession *session, const std::vector<std::string> &texts) {
  OrtAllocator *allocator;
  check(api->GetAllocatorWithDefaultOptions(&allocator));
  const int64_t count = static_cast<int64_t>(texts.size());
  OrtValue *input;
  check(api->CreateTensorAsOrtValue(allocator, &count, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &input));
  for (size_t index = 0; index < texts.size(); index++) {
    // FillStringTensor would end a text at U+0000.
    char *buffer;
    check(api->GetResizedStringTensorElementBuffer(input, index, texts[index].size(), &buffer));
    std::memcpy(buffer, texts[index].data(), texts[index].size());
  }
  const char *inputs[] = {"text"}, *outputs[] = {"input_ids", "sentence_embedding"};
  OrtValue *results[] = {nullptr, nullptr};
  check(api->Run(session, nullptr, inputs, &input, 1, outputs, 2, results));
  const auto shape = shape_of(results[0]);
  Found found{static_cast<int32_t>(shape[0]), static_cast<int32_t>(shape[1]),
              static_cast<int32_t>(shape_of(results[1])[1]), {}, {}};
  int64_t *ids;
  float *vectors;
  check(api->GetTensorMutableData(results[0], reinterpret_cast<void **>(&ids)));
  check(api->GetTensorMutableData(results[1], reinterpret_cast<void **>(&vectors)));
  found.ids.assign(ids, ids + shape[0] * shape[1]);
  found.vectors.assign(vectors, vectors + static_cast<size_t>(found.texts) * found.dim);
  for (OrtValue *value : {input, results[0], results[1]}) api->ReleaseValue(value);
  return found;
}

static bool near(const std::vector<float> &a, const std::vector<float> &b) {
  for (size_t place = 0; place < a.size(); place++)
    if (!(std::fabs(a[place] - b[place]) <= 1e-6f)) return false;
  return a.size() == b.size();
}

int main(int, char **arguments) {
  const OrtApiBase *base = OrtGetApiBase();
  api = base->GetApi(ORT_API_VERSION);
  if (!api) {
    std::fprintf(stderr, "onnxruntime %s is older than the header\n", base->GetVersionString());
    return 1;
  }
  Reader reader{std::fopen(arguments[2], "rb")};
  std::vector<std::vector<std::string>> batches(reader.number());
  for (auto &batch : batches) {
    batch.resize(reader.number());
    for (auto &text : batch) text = reader.text();
  }
  std::fclose(reader.file);

  OrtEnv *environment;
  OrtSessionOptions *options;
  OrtSession *session;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "host", &environment));
  check(api->CreateSessionOptions(&options));
  check(api->CreateSession(environment, arguments[1], options, &session));
  std::vector<Found> all;
  for (const auto &batch : batches) all.push_back(run(session, batch));
  for (size_t index = batches.size(); index-- > 0;) {
    const Found again = run(session, batches[index]);
    if (again.ids != all[index].ids || !near(again.vectors, all[index].vectors)) {
      std::fprintf(stderr, "other ids or vectors in the second run of a session\n");
      return 1;
    }
  }
  std::FILE *result = std::fopen(arguments[3], "wb");
  for (const auto &found : all) {
    std::fwrite(&found.texts, 4, 3, result);
    std::fwrite(found.ids.data(), 4, found.ids.size(), result);
    std::fwrite(found.vectors.data(), 4, found.vectors.size(), result);
  }
  std::fclose(result);
  std::puts(base->GetVersionString());
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
  api->ReleaseEnv(environment);
  return 0;
}
