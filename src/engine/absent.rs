//! Stands for a runtime that this program was built without: loads nothing, and says why.

use super::{Engine, EngineError, Model, Options, Session};

/// The runtime of this name.
pub struct Absent(pub &'static str);

impl Engine for Absent {
    fn name(&self) -> &'static str {
        self.0
    }

    fn describe(&self, _: Options) -> String {
        format!("{}, which is not in this program", self.0)
    }

    fn missing(&self) -> Option<&str> {
        Some("this program was built without it")
    }

    fn load(&self, model: &Model, _: Options) -> Result<Box<dyn Session>, EngineError> {
        let reason = format!(
            "this program was built without the engine {0}; use \"cpu\", or build it with --features {0}",
            self.0
        );
        Err(EngineError::Load { model: model.name.clone(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ModelBytes;

    #[test]
    fn what_is_not_there_says_what_to_do() {
        let model = Model { name: "image.onnx".into(), bytes: ModelBytes::Static(&[]) };
        let error = Absent("tract").load(&model, Options::of(1)).err().unwrap().to_string();
        assert!(error.contains("image.onnx") && error.contains("--features tract"), "{error}");
    }
}
