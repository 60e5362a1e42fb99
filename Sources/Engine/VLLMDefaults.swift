//===----------------------------------------------------------------------===//
// vLLM's defaults that depend on the device.
//===----------------------------------------------------------------------===//

/// What vLLM 0.33 chooses when nobody says otherwise (`vllm/engine/arg_utils.py`), rules 2 and 3.
public enum VLLMDefaults {
    /// `max_num_batched_tokens` of the API server.
    public static func batchedTokens(deviceGiB: Int, isA100: Bool, throughputMode: Bool = false) -> Int32 {
        let tokens: Int32
        if deviceGiB >= 160 {
            tokens = 16384
        } else if deviceGiB >= 70 && !isA100 {
            tokens = 8192
        } else {
            tokens = 2048
        }
        return throughputMode ? tokens * 2 : tokens
    }

    /// `max_num_seqs`.
    public static func sequences(deviceGiB: Int) -> Int32 { deviceGiB >= 70 ? 1024 : 256 }
}
